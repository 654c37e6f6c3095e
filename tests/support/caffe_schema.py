"""Writes the files of Caffe by protobuf's own library, from a description of its messages."""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

FIELD = descriptor_pb2.FieldDescriptorProto
KINDS = {
    "int32": FIELD.TYPE_INT32, "int64": FIELD.TYPE_INT64, "float": FIELD.TYPE_FLOAT,
    "double": FIELD.TYPE_DOUBLE, "string": FIELD.TYPE_STRING, "bool": FIELD.TYPE_BOOL,
}  # fmt: skip
MESSAGES = {
    "BlobShape": [("dim", 1, "int64", "packed")],
    "BlobProto": [
        ("num", 1, "int32", ""), ("channels", 2, "int32", ""), ("height", 3, "int32", ""),
        ("width", 4, "int32", ""), ("data", 5, "float", "packed"), ("diff", 6, "float", "packed"),
        ("shape", 7, "BlobShape", ""), ("double_data", 8, "double", "packed"),
    ],
    "ConvolutionParameter": [
        ("num_output", 1, "int32", ""), ("bias_term", 2, "bool", ""), ("pad", 3, "int32", "many"),
        ("kernel_size", 4, "int32", "many"), ("group", 5, "int32", ""),
        ("stride", 6, "int32", "many"),
    ],
    "InnerProductParameter": [("num_output", 1, "int32", ""), ("bias_term", 2, "bool", "")],
    "PoolingParameter": [("kernel_size", 2, "int32", ""), ("stride", 3, "int32", "")],
    "InputParameter": [("shape", 1, "BlobShape", "many")],
    "V0LayerParameter": [("name", 1, "string", "")],
    "V1LayerParameter": [
        ("layer", 1, "V0LayerParameter", ""), ("bottom", 2, "string", "many"),
        ("top", 3, "string", "many"), ("name", 4, "string", ""), ("type", 5, "LayerType", ""),
        ("blobs", 6, "BlobProto", "many"), ("convolution_param", 10, "ConvolutionParameter", ""),
        ("inner_product_param", 17, "InnerProductParameter", ""),
        ("pooling_param", 19, "PoolingParameter", ""),
    ],
    "LayerParameter": [
        ("name", 1, "string", ""), ("type", 2, "string", ""), ("bottom", 3, "string", "many"),
        ("top", 4, "string", "many"), ("blobs", 7, "BlobProto", "many"),
        ("convolution_param", 106, "ConvolutionParameter", ""),
        ("inner_product_param", 117, "InnerProductParameter", ""),
        ("pooling_param", 121, "PoolingParameter", ""),
        ("input_param", 143, "InputParameter", ""),
    ],
    "NetParameter": [
        ("name", 1, "string", ""), ("layers", 2, "V1LayerParameter", "many"),
        ("input", 3, "string", "many"), ("input_dim", 4, "int32", "many"),
        ("input_shape", 8, "BlobShape", "many"), ("layer", 100, "LayerParameter", "many"),
    ],
}  # fmt: skip
LAYER_TYPES = {"CONVOLUTION": 4, "DROPOUT": 6, "INNER_PRODUCT": 14, "POOLING": 17, "RELU": 18}


def describe(package, *, packed):
    """A file of these messages; unpacked ones are what very old writers made."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package)
    kinds = file.enum_type.add(name="LayerType")
    kinds.value.add(name="NONE", number=0)
    for name, number in LAYER_TYPES.items():
        kinds.value.add(name=name, number=number)
    for title, fields in MESSAGES.items():
        message = file.message_type.add(name=title)
        for name, number, kind, count in fields:
            field = message.field.add(name=name, number=number, label=FIELD.LABEL_OPTIONAL)
            if count:
                field.label = FIELD.LABEL_REPEATED
            field.options.packed = packed and count == "packed"
            field.type = KINDS.get(kind, FIELD.TYPE_MESSAGE)
            if kind == "LayerType":
                field.type = FIELD.TYPE_ENUM
            if kind not in KINDS:
                field.type_name = f".{package}.{kind}"
    return file


def network_class(package, *, packed=True):
    pool = descriptor_pool.DescriptorPool()
    pool.Add(describe(package, packed=packed))
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.NetParameter"))


Network = network_class("caffe")
UnpackedNetwork = network_class("caffe_unpacked", packed=False)


def fill(blob, array, *, form="shape", kind="data"):
    """Puts an array into a blob: with a shape, or with the four sizes of older files."""
    if form == "shape":
        blob.shape.dim.extend(array.shape)
    else:
        sizes = (1,) * (4 - array.ndim) + array.shape
        blob.num, blob.channels, blob.height, blob.width = sizes
    getattr(blob, kind).extend(array.ravel().tolist())


def text_of(network):
    plain = type(network)()
    plain.CopyFrom(network)
    for layer in (*plain.layers, *plain.layer):
        layer.ClearField("blobs")
    return text_format.MessageToString(plain)
