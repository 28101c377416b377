"""Skin, eyes, hair, cloth and frames as shader nodes of Cycles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from opentalking.avatars.studio.people import Colour, Person

Node = Any  # bpy carries no types


def _material(name: str) -> tuple[Any, Any, Any]:
    """A new material, its node tree and its principled shader."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    tree = material.node_tree
    return material, tree, tree.nodes["Principled BSDF"]


class _Wires:
    """Adds nodes to a tree, in few words."""

    def __init__(self, tree: Any) -> None:
        self.tree = tree

    def add(self, kind: str, **inputs: Any) -> Node:
        node = self.tree.nodes.new(f"ShaderNode{kind}")
        for name, value in inputs.items():
            socket = node.inputs[name.replace("_", " ")]
            if hasattr(value, "is_output"):
                self.tree.links.new(value, socket)
            else:
                socket.default_value = value
        return node

    def attribute(self, name: str, colour: bool = False) -> Any:
        node = self.add("Attribute")
        node.attribute_name = name
        return node.outputs["Color" if colour else "Fac"]

    def math(self, operation: str, a: Any, b: Any = 0.0) -> Any:
        node = self.tree.nodes.new("ShaderNodeMath")
        node.operation = operation
        for socket, value in zip(node.inputs, (a, b), strict=False):
            if hasattr(value, "is_output"):
                self.tree.links.new(value, socket)
            else:
                socket.default_value = value
        return node.outputs[0]

    def noise(self, scale: float, detail: float = 4.0, where: Any = None) -> Any:
        node = self.add("TexNoise", Scale=scale, Detail=detail)
        if where is not None:
            self.tree.links.new(where, node.inputs["Vector"])
        return node.outputs[0]

    def mix(self, share: Any, a: Any, b: Any, blend: str = "MIX") -> Any:
        node = self.tree.nodes.new("ShaderNodeMix")
        node.data_type, node.blend_type = "RGBA", blend
        for socket, value in ((node.inputs[0], share), (node.inputs[6], a), (node.inputs[7], b)):
            if hasattr(value, "is_output"):
                self.tree.links.new(value, socket)
            else:
                socket.default_value = (*value, 1.0) if isinstance(value, tuple) else value
        return node.outputs[2]

    def ramp(self, value: Any, low: float, high: float, to_low: float = 0.0, to_high: float = 1.0) -> Any:
        node = self.add("MapRange", Value=value, From_Min=low, From_Max=high, To_Min=to_low, To_Max=to_high)
        return node.outputs[0]

    def link(self, output: Any, shader: Any, name: str) -> None:
        self.tree.links.new(output, shader.inputs[name])


def skin(person: Person, lips_mask: Path) -> Any:
    """Skin: the vertices' tint, mottled; lips; pores, lines and stubble; light that goes in and comes out redder."""
    material, tree, shader = _material("skin")
    wires = _Wires(tree)
    place = wires.add("TexCoord").outputs["Object"]
    colour = wires.attribute("tint", colour=True)
    dark = sum(person.skin) / 3 < 0.2
    mottle = wires.ramp(wires.noise(7.0, 6.0, place), 0.3, 0.7, 0.90, 1.10)
    redder = wires.mix(
        wires.ramp(wires.noise(11.0, 5.0, place), 0.42, 0.66, 0, 0.22),
        colour,
        (0.55, 0.16, 0.10) if not dark else (0.16, 0.05, 0.03),
    )
    fine = wires.ramp(wires.noise(60.0, 3.0, place), 0.3, 0.7, 0.93, 1.07)
    grain = wires.math("MULTIPLY", mottle, fine)
    grey = wires.add("CombineColor", Red=grain, Green=grain, Blue=grain).outputs[0]
    colour = wires.mix(1.0, redder, grey, "MULTIPLY")
    if person.age > 0.3:  # age spots
        spots = wires.ramp(wires.noise(16.0, 2.0, place), 0.66, 0.72, 0, 0.35 * person.age)
        colour = wires.mix(spots, colour, tuple(0.55 * channel for channel in person.skin))
    hair = person.hair.colour if person.hair else (0.02, 0.015, 0.01)
    colour = wires.mix(
        wires.attribute("scalp"), colour, tuple(0.65 * h + 0.25 * s for h, s in zip(hair, person.skin, strict=True))
    )
    dots = wires.ramp(wires.noise(150.0, 1.0, place), 0.42, 0.60, 0.25, 1.0)
    shaved = wires.math("MULTIPLY", wires.attribute("stubble"), dots)
    colour = wires.mix(wires.math("MULTIPLY", shaved, 0.75), colour, (0.02, 0.017, 0.016))
    lips = _mask(wires, lips_mask)
    lip_grain = wires.ramp(wires.noise(40.0, 4.0, place), 0.3, 0.7, 0.0, 0.35)
    lip_colour = wires.mix(lip_grain, person.lips, tuple(0.75 * channel for channel in person.lips))
    colour = wires.mix(wires.math("MULTIPLY", lips, 0.72), colour, lip_colour)
    wires.link(colour, shader, "Base Color")
    rough = wires.ramp(wires.noise(30.0, 4.0, place), 0.3, 0.7, 0.42, 0.56)
    wires.link(wires.math("SUBTRACT", rough, wires.math("MULTIPLY", lips, 0.12)), shader, "Roughness")
    shader.inputs["Specular IOR Level"].default_value = 0.42
    shader.inputs["Subsurface Weight"].default_value = 0.75 if not dark else 0.45
    shader.inputs["Subsurface Radius"].default_value = (1.0, 0.34, 0.17)
    shader.inputs["Subsurface Scale"].default_value = 0.055
    wires.link(_relief(wires, place, person.age), shader, "Normal")
    return material


def _relief(wires: _Wires, place: Any, age: float) -> Any:
    """Pores everywhere, fine crossing lines with age, and level lines across the forehead."""
    pores = wires.add("TexVoronoi", Vector=place, Scale=55.0).outputs["Distance"]
    height = wires.math("ADD", wires.math("MULTIPLY", pores, 0.5), wires.noise(75.0, 5.0, place))
    height = wires.math("ADD", height, wires.math("MULTIPLY", wires.noise(22.0, 5.0, place), 0.6 + 1.0 * age))
    bump = wires.add("Bump", Strength=0.16 + 0.12 * age, Distance=0.012, Height=height).outputs[0]
    squeeze = wires.add("VectorMath")
    squeeze.operation = "MULTIPLY"
    wires.tree.links.new(place, squeeze.inputs[0])
    squeeze.inputs[1].default_value = (1.3, 1.3, 11.0)
    lines = wires.math("MULTIPLY", wires.noise(1.0, 2.0, squeeze.outputs[0]), wires.attribute("lines"))
    return wires.add("Bump", Strength=0.7, Distance=0.06, Height=lines, Normal=bump).outputs[0]


def _mask(wires: _Wires, path: Path) -> Any:
    node = wires.add("TexImage", Vector=wires.add("UVMap").outputs[0])
    node.image = bpy.data.images.load(str(path))
    node.image.colorspace_settings.name = "Non-Color"
    node.interpolation = "Cubic"
    return node.outputs[0]


def eye(iris_picture: Path) -> Any:
    """The eyeball: a painted iris under a wet coat."""
    material, tree, shader = _material("eye")
    wires = _Wires(tree)
    node = wires.add("TexImage")
    node.image = bpy.data.images.load(str(iris_picture))
    node.extension = "EXTEND"
    wires.link(node.outputs[0], shader, "Base Color")
    shader.inputs["Roughness"].default_value = 0.35
    shader.inputs["Specular IOR Level"].default_value = 0.2
    shader.inputs["Coat Weight"].default_value = 1.0
    shader.inputs["Coat Roughness"].default_value = 0.04
    shader.inputs["Subsurface Weight"].default_value = 0.2
    shader.inputs["Subsurface Radius"].default_value = (0.03, 0.02, 0.015)
    return material


def hair(colour: Colour, grey: float = 0.0, roughness: float = 0.34) -> Any:
    """Hair: each strand a little lighter or darker than the next, some of them grey."""
    material = bpy.data.materials.new("hair")
    material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    wires = _Wires(tree)
    shader = wires.add("BsdfHairPrincipled")
    shader.parametrization = "COLOR"
    shade = wires.attribute("shade")
    varied = wires.mix(shade, tuple(0.55 * c for c in colour), tuple(1.5 * c for c in colour))
    if grey:
        share = wires.ramp(shade, 1 - grey - 0.02, 1 - grey + 0.02)
        varied = wires.mix(share, varied, (0.5, 0.5, 0.5))
    wires.link(varied, shader, "Color")
    shader.inputs["Roughness"].default_value = roughness
    shader.inputs["Radial Roughness"].default_value = 0.45
    out = wires.add("OutputMaterial")
    tree.links.new(shader.outputs[0], out.inputs[0])
    return material


def cloth(colour: Colour, cut: bool = False) -> Any:
    """Knitted cloth; `cut` along the neckline, where the vertices' value "beyond" changes its sign."""
    material, tree, shader = _material("cloth")
    wires = _Wires(tree)
    place = wires.add("TexCoord").outputs["Object"]
    weave = wires.add("TexWave", Vector=place, Scale=26.0, Distortion=1.0)
    weave.bands_direction = "DIAGONAL"
    height = wires.math("ADD", weave.outputs["Fac"], wires.noise(45.0, 3.0, place))
    shader.inputs["Base Color"].default_value = (*colour, 1)
    shader.inputs["Roughness"].default_value = 0.85
    shader.inputs["Specular IOR Level"].default_value = 0.2
    shader.inputs["Sheen Weight"].default_value = 0.25
    shader.inputs["Sheen Roughness"].default_value = 0.5
    wires.link(wires.add("Bump", Strength=0.25, Distance=0.01, Height=height).outputs[0], shader, "Normal")
    if cut:
        wires.link(wires.math("GREATER_THAN", wires.attribute("beyond"), 0.0), shader, "Alpha")
    return material


def plain(name: str, colour: Colour, roughness: float, coat: float = 0.0) -> Any:
    """Teeth, gums, tongue, frames."""
    material, _, shader = _material(name)
    shader.inputs["Base Color"].default_value = (*colour, 1)
    shader.inputs["Roughness"].default_value = roughness
    shader.inputs["Coat Weight"].default_value = coat
    return material
