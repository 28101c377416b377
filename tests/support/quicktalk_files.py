"""Stand-ins of QuickTalk's files, which cannot be shipped: the same layout and signatures, made in a second.

The network keeps the face as it is and darkens an ellipse at the mouth, the more the louder the vectors are, with a
memory: half of its state stays from frame to frame. At rest it is a little dark, as no network draws a resting mouth
just as the picture has it. The encoder is a HuBERT of one layer with weights of chance.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_SIDE = 256
_STATE = (2, 1, 576)


def write_files(root: Path, layers: int = 1) -> Path:
    """All of them below `root`, which is returned; the encoder with so many layers of attention."""
    folder = root / "checkpoints"
    write_network(folder / "256.onnx")
    write_repair(folder / "repair.npy")
    write_encoder(folder / "chinese-hubert-large", layers)
    return root


def write_repair(path: Path) -> None:
    """The lower half of the face is drawn anew."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((_SIDE, _SIDE), np.uint8)
    mask[_SIDE // 2 :, 32:-32] = 255
    np.save(path, mask)


def write_encoder(path: Path, layers: int = 1, features: int = 1024) -> None:
    """As transformers saves it; its convolutions are as long and as fast as the real one's."""
    import torch
    from transformers import HubertConfig, HubertModel

    torch.manual_seed(5)
    config = HubertConfig(
        hidden_size=features,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=[16] * 7,
        num_conv_pos_embeddings=4,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
    )
    HubertModel(config).save_pretrained(path)
    (path / "preprocessor_config.json").write_text('{"do_normalize": true, "sampling_rate": 16000}')


def write_network(path: Path, vectors: int = 10) -> None:
    """ONNX of the real signature; `vectors` of sound a frame."""
    rows, columns = np.mgrid[:_SIDE, :_SIDE]
    mouth = ((columns - 128) / 34) ** 2 + ((rows - 162) / 12) ** 2 < 1
    constants = {
        "mouth": mouth.astype(np.float32)[None, None],
        "half": np.float32(0.5),
        "gain": np.float32(0.4),
        "rest": np.float32(0.2),
        "low": np.float32(0),
        "high": np.float32(1),
        "first": np.array([4], np.int64),
        "last": np.array([7], np.int64),
        "channels": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("Mul", ["audio", "audio"], ["squares"]),
        helper.make_node("Slice", ["squares", "low_vector", "high_vector", "last_axis"], ["some"]),
        helper.make_node("ReduceMean", ["some"], ["level"], keepdims=0),
        helper.make_node("Mul", ["hn", "half"], ["kept"]),
        helper.make_node("Add", ["kept", "level"], ["hn_out"]),
        helper.make_node("Sub", ["cn", "level"], ["cn_out"]),
        helper.make_node("ReduceMean", ["hn_out"], ["memory"], keepdims=0),
        helper.make_node("Mul", ["memory", "gain"], ["driven"]),
        helper.make_node("Add", ["driven", "rest"], ["darker"]),
        helper.make_node("Tanh", ["darker"], ["dark"]),
        helper.make_node("Mul", ["mouth", "dark"], ["shade"]),
        helper.make_node("Slice", ["face", "first", "last", "channels"], ["whole"]),
        helper.make_node("Sub", ["whole", "shade"], ["open"]),
        helper.make_node("Clip", ["open", "low", "high"], ["image"]),
    ]
    constants |= {f"{end}_vector": np.array([at], np.int64) for end, at in (("low", 0), ("high", 8))}
    constants["last_axis"] = np.array([2], np.int64)
    taken = {"audio": (1, vectors, 1024), "face": (1, 7, _SIDE, _SIDE), "hn": _STATE, "cn": _STATE}
    given = {"image": (1, 3, _SIDE, _SIDE), "hn_out": _STATE, "cn_out": _STATE}
    graph = helper.make_graph(
        nodes,
        "stand-in",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in taken.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in given.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)
