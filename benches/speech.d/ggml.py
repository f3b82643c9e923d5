"""Writes CTranslate2's float16 Whisper weights as whisper.cpp reads them, bit for bit.

ggml.py MODEL.BIN LIKE.BIN OUT.BIN: vocabulary, filters and sizes are taken from LIKE.BIN, a ggml
file of the same model in any precision.
"""

import os
import struct
import sys

import numpy


def ctranslate2(path):
    """The float16 tensors of a CTranslate2 model file, by name."""
    tensors = {}
    with open(path, "rb") as file:
        def take(form):
            return struct.unpack("<" + form, file.read(struct.calcsize("<" + form)))

        def name():
            return file.read(take("H")[0])[:-1].decode()

        take("I")
        name()
        take("I")
        for _ in range(take("I")[0]):
            called, (rank,) = name(), take("B")
            shape, (kind,), (size,) = take(f"{rank}I"), take("B"), take("I")
            raw = file.read(size)
            if kind == 4:
                tensors[called] = numpy.frombuffer(raw, numpy.float16).reshape(shape)
    return tensors


def renamed(have):
    """The same tensors under the names of Whisper's own files."""
    out = {}

    def put(to, weight, bias=None):
        out[f"{to}.weight"] = weight
        if bias is not None:
            out[f"{to}.bias"] = bias

    def norm(to, source):
        put(to, have[f"{source}/gamma"], have[f"{source}/beta"])

    def linear(to, source):
        put(to, have[f"{source}/weight"], have[f"{source}/bias"])

    def fused(to, source, parts):
        """Splits one matrix into query, key and value; a key has no bias."""
        weight, bias = have[f"{source}/weight"], have[f"{source}/bias"]
        size = weight.shape[0] // len(parts)
        for index, part in enumerate(parts):
            rows = slice(index * size, (index + 1) * size)
            put(f"{to}.{part}", weight[rows], None if part == "key" else bias[rows])

    for side in ("encoder", "decoder"):
        out[f"{side}.positional_embedding"] = have[f"{side}/position_encodings/encodings"]
        layer = 0
        while f"{side}/layer_{layer}/ffn/linear_0/weight" in have:
            source, to = f"{side}/layer_{layer}", f"{side}.blocks.{layer}"
            fused(f"{to}.attn", f"{source}/self_attention/linear_0", ("query", "key", "value"))
            linear(f"{to}.attn.out", f"{source}/self_attention/linear_1")
            norm(f"{to}.attn_ln", f"{source}/self_attention/layer_norm")
            if side == "decoder":
                linear(f"{to}.cross_attn.query", f"{source}/attention/linear_0")
                fused(f"{to}.cross_attn", f"{source}/attention/linear_1", ("key", "value"))
                linear(f"{to}.cross_attn.out", f"{source}/attention/linear_2")
                norm(f"{to}.cross_attn_ln", f"{source}/attention/layer_norm")
            norm(f"{to}.mlp_ln", f"{source}/ffn/layer_norm")
            linear(f"{to}.mlp.0", f"{source}/ffn/linear_0")
            linear(f"{to}.mlp.2", f"{source}/ffn/linear_1")
            layer += 1
    linear("encoder.conv1", "encoder/conv1")
    linear("encoder.conv2", "encoder/conv2")
    norm("encoder.ln_post", "encoder/layer_norm")
    norm("decoder.ln", "decoder/layer_norm")
    out["decoder.token_embedding.weight"] = have["decoder/embeddings/weight"]
    return out


def header(path):
    """Everything before the tensors of a ggml file, saying float16."""
    data = open(path, "rb").read()
    at = 12 * 4
    rows, columns = struct.unpack_from("<2i", data, at)
    at += 8 + rows * columns * 4
    (words,) = struct.unpack_from("<i", data, at)
    at += 4
    for _ in range(words):
        at += 4 + struct.unpack_from("<i", data, at)[0]
    return data[: 11 * 4] + struct.pack("<i", 1) + data[48:at]


def main():
    source, like, to = sys.argv[1:]
    with open(to + ".part", "wb") as out:
        out.write(header(like))
        for name, tensor in renamed(ctranslate2(source)).items():
            if name in ("encoder.conv1.bias", "encoder.conv2.bias"):
                tensor = tensor.reshape(-1, 1)
            single = tensor.ndim < 2 or name.endswith(("conv1.bias", "conv2.bias", "_embedding"))
            tensor = tensor.astype(numpy.float32 if single else numpy.float16)
            out.write(struct.pack("<iii", tensor.ndim, len(name), 0 if single else 1))
            out.write(struct.pack(f"<{tensor.ndim}i", *reversed(tensor.shape)))
            out.write(name.encode() + tensor.tobytes())
    os.rename(to + ".part", to)


if __name__ == "__main__":
    main()
