"""What serves papers and not owners: published experiments, Caffe files, ghost norms."""
