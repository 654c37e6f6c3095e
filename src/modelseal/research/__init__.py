"""What serves papers and not owners: published experiments, Caffe files, sensitivity to weights."""
