"""The set: a person, three soft lights and a portrait lens, rendered by Cycles with a transparent background."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import bpy
import cv2
import mathutils
import numpy as np

from opentalking.avatars.studio import clothes, facial_hair, hair, materials, spectacles
from opentalking.avatars.studio.complexion import complexion
from opentalking.avatars.studio.eyes import IRIS, IRIS_SHARE, SIDE, iris_picture
from opentalking.avatars.studio.mesh import BODY, TEETH, TONGUE, Figure, figure, mask_path
from opentalking.avatars.studio.people import Person, Shot
from opentalking.avatars.studio.vectors import Floats, Int32
from opentalking.types import UInt8

_FAR = 14.0  # dm from the camera to the face
_SENSOR = 36.0  # mm


def photograph(person: Person, shot: Shot, threads: int = 1) -> UInt8:
    """The person alone, uint8 BGRA (height, width, 4)."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with tempfile.TemporaryDirectory() as folder:
        built = figure(person)
        stand = bpy.data.objects.new("stand", None)
        _link(stand)
        for thing in _person(built, person, Path(folder)):
            thing.parent = stand
        stand.rotation_mode = "YXZ"
        stand.rotation_euler = (-math.radians(shot.pitch), 0, math.radians(shot.yaw))
        _camera(built, shot)
        _lights()
        out = Path(folder) / "out.png"
        _render(shot, out, threads)
        picture = cv2.imread(str(out), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    return np.asarray(picture, np.uint8)


def _blender(points: Floats) -> Floats:
    """MakeHuman's axes as Blender's: x, -z, y."""
    return np.stack([points[..., 0], -points[..., 2], points[..., 1]], -1).astype(np.float32)


def _link(thing: Any) -> Any:
    bpy.context.scene.collection.objects.link(thing)
    return thing


def _mesh(name: str, points: Floats, faces: Int32, material: Any, levels: int = 2) -> Any:
    """A smooth object; faces of three corners end in -1."""
    shape = bpy.data.meshes.new(name)
    shape.from_pydata(_blender(points).tolist(), [], [[int(i) for i in face if i >= 0] for face in faces])
    shape.materials.append(material)
    shape.polygons.foreach_set("use_smooth", np.ones(len(faces), bool))
    shape.update()
    thing = _link(bpy.data.objects.new(name, shape))
    if levels:
        modifier = thing.modifiers.new("smooth", "SUBSURF")
        modifier.render_levels = levels
    return thing


def _values(thing: Any, name: str, values: Floats) -> None:
    """Give the vertices a value or colour that the material reads."""
    colour = values.ndim == 2
    attribute = thing.data.attributes.new(name, "FLOAT_COLOR" if colour else "FLOAT", "POINT")
    if colour:
        values = np.concatenate([values, np.ones((len(values), 1), np.float32)], 1)
    attribute.data.foreach_set("color" if colour else "value", np.ascontiguousarray(values, np.float32).ravel())


def _part(faces: Int32) -> tuple[Int32, Int32]:
    """The vertices that `faces` use, and the faces numbered by them."""
    used = np.unique(faces[faces >= 0])
    numbers = np.full(used.max() + 1, -1, np.int32)
    numbers[used] = np.arange(len(used))
    return used.astype(np.int32), np.where(faces >= 0, numbers[np.maximum(faces, 0)], -1).astype(np.int32)


def _person(built: Figure, person: Person, folder: Path) -> list[Any]:
    return [
        _body(built, person),
        *_eyes(built, person, folder),
        *_mouth(built),
        *_strands(built, person),
        *_clothes(built, person),
        *_spectacles(built, person),
    ]


def _body(built: Figure, person: Person) -> Any:
    faces, uv_faces = built.base.faces[BODY], built.base.uv_faces[BODY]
    corners = built.vertices[np.maximum(faces, 0)]
    near = (corners[..., 1].min(1) > -4.0) & (np.abs(corners[..., 0]).max(1) < 3.0)
    used, part = _part(faces[near])
    thing = _mesh("body", built.vertices[used], part, materials.skin(person, mask_path("lips")), 2)
    layer = thing.data.uv_layers.new(name="skin")
    at = uv_faces[near]
    layer.data.foreach_set("uv", built.base.uv[at[faces[near] >= 0]].astype(np.float32).ravel())
    colours = complexion(built, person)
    for name in ("tint", "stubble", "lines", "scalp"):
        _values(thing, name, getattr(colours, name)[used])
    return thing


def _eyes(built: Figure, person: Person, folder: Path) -> list[Any]:
    path = folder / "iris.png"
    cv2.imwrite(str(path), iris_picture(person.iris, person.seed))
    material = materials.eye(path)
    radius = built.eye_radius * 0.97
    things = []
    for centre in built.eyes:
        bpy.ops.mesh.primitive_uv_sphere_add(
            radius=radius, segments=64, ring_count=48, location=_blender(centre).tolist()
        )
        thing = bpy.context.object
        shape = thing.data
        shape.materials.append(material)
        points = np.empty((len(shape.vertices), 3), np.float32)
        shape.vertices.foreach_get("co", points.ravel())
        corners = np.empty(len(shape.loops), np.int32)
        shape.loops.foreach_get("vertex_index", corners)
        scale = radius * IRIS_SHARE / IRIS * SIDE
        uv = points[:, [0, 2]] / scale + 0.5
        uv[points[:, 1] > 0] = 0.02
        shape.uv_layers.active.data.foreach_set("uv", uv[corners].astype(np.float32).ravel())
        shape.polygons.foreach_set("use_smooth", np.ones(len(shape.polygons), bool))
        shape.update()
        things.append(thing)
    return things


def _mouth(built: Figure) -> list[Any]:
    """Teeth and tongue, seen only by who shows them."""
    tooth = materials.plain("tooth", (0.72, 0.66, 0.55), 0.25, 0.4)
    tongue = materials.plain("tongue", (0.45, 0.13, 0.12), 0.35)
    things = []
    for name, material in (*((name, tooth) for name in TEETH), (TONGUE, tongue)):
        used, part = _part(built.base.faces[name])
        things.append(_mesh(name, built.vertices[used], part, material))
    return things


def _strands(built: Figure, person: Person) -> list[Any]:
    grown = [(facial_hair.brows(built, person), materials.hair(person.brows, roughness=0.6))]
    grown.append((facial_hair.eyelashes(built, person), materials.plain("lash", (0.012, 0.009, 0.008), 0.8)))
    worn = person.hair
    on_head, on_chin = hair.head_hair(built, person), facial_hair.beard(built, person)
    if worn is not None and on_head is not None:
        grown.append((on_head, materials.hair(worn.colour, worn.grey)))
    if on_chin is not None:
        grown.append((on_chin, materials.hair(person.brows, worn.grey if worn else 0.0)))
    things = []
    for strands, material in grown:
        count, points = strands.points.shape[:2]
        curves = bpy.data.hair_curves.new("hair")
        curves.add_curves([points] * count)
        curves.attributes["position"].data.foreach_set("vector", _blender(strands.points).ravel())
        radius = curves.attributes.get("radius") or curves.attributes.new("radius", "FLOAT", "POINT")
        radius.data.foreach_set("value", np.tile(strands.radii, count).astype(np.float32))
        shade = curves.attributes.new("shade", "FLOAT", "CURVE")
        shade.data.foreach_set("value", strands.shade.astype(np.float32))
        curves.materials.append(material)
        things.append(_link(bpy.data.objects.new("hair", curves)))
    return things


def _clothes(built: Figure, person: Person) -> list[Any]:
    worn = clothes.pullover(built, person)
    keep = worn.beyond[worn.faces].max(1) > -0.1
    used, part = _part(worn.faces[keep])
    cloth = _mesh("cloth", worn.vertices[used], part, materials.cloth(person.cloth, cut=True))
    _values(cloth, "beyond", worn.beyond[used])
    points, faces = clothes.tube(worn.band, (worn.band_radius * 1.3, worn.band_radius))
    return [cloth, _mesh("band", points, faces, materials.cloth(person.cloth))]


def _spectacles(built: Figure, person: Person) -> list[Any]:
    if person.spectacles is None:
        return []
    frame = materials.plain("frame", person.spectacles, 0.3, 0.5)
    thick = person.frame, person.frame
    parts = spectacles.rims_and_temples(built)
    return [_mesh("frame", *clothes.tube(line, thick, closed), frame, 1) for line, closed in parts]


def _camera(built: Figure, shot: Shot) -> None:
    scene = bpy.context.scene
    lens = bpy.data.cameras.new("lens")
    per_pixel = built.eye_distance / shot.eye_distance
    plane = float(built.eyes[0][2])
    lens.sensor_fit, lens.sensor_width = "HORIZONTAL", _SENSOR
    lens.lens = _SENSOR * _FAR / (per_pixel * shot.width)
    camera = _link(bpy.data.objects.new("camera", lens))
    # the lens looks level; the frame is shifted so that the eyes come to their height
    camera.location = (0, -(plane + _FAR), 0)
    camera.rotation_euler = (math.pi / 2, 0, 0)
    lens.shift_y = -(0.5 - shot.eye_level) * shot.height / shot.width
    scene.camera = camera


def _lights() -> None:
    """Key from the upper left, a weaker fill from the right, two rims from behind, a little from below."""
    for where, watts, size, colour in (
        ((-4.2, -6.5, 3.6), 520, 3.2, (1.0, 0.95, 0.89)),
        ((5.0, -6.0, 1.2), 190, 4.5, (0.90, 0.95, 1.0)),
        ((-4.0, 4.5, 3.0), 190, 2.0, (1.0, 1.0, 1.0)),
        ((4.2, 4.0, 2.6), 170, 2.0, (1.0, 0.94, 0.87)),
        ((0, -7, -3.5), 60, 3.0, (1.0, 1.0, 1.0)),
    ):
        light = bpy.data.lights.new("light", "AREA")
        light.energy, light.size, light.color = watts, size, colour
        thing = _link(bpy.data.objects.new("light", light))
        thing.location = where
        thing.rotation_euler = (-mathutils.Vector(where)).to_track_quat("-Z", "Y").to_euler()
    world = bpy.data.worlds.new("world")
    world.use_nodes = True
    background = world.node_tree.nodes["Background"]
    background.inputs[0].default_value = (0.34, 0.36, 0.40, 1)
    background.inputs[1].default_value = 0.5
    bpy.context.scene.world = world


def _render(shot: Shot, out: Path, threads: int) -> None:
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples = shot.samples
    scene.cycles.use_denoising = True
    scene.cycles.seed = 1
    scene.cycles.adaptive_threshold = 0.03
    scene.cycles.max_bounces, scene.cycles.diffuse_bounces, scene.cycles.glossy_bounces = 6, 3, 3
    scene.cycles.transmission_bounces, scene.cycles.transparent_max_bounces = 4, 6
    scene.cycles_curves.shape = "RIBBONS"
    scene.render.threads_mode, scene.render.threads = "FIXED", threads
    scene.render.resolution_x, scene.render.resolution_y = shot.width, shot.height
    scene.render.film_transparent = True
    scene.view_settings.view_transform = "AgX"
    scene.view_settings.look = "AgX - Medium High Contrast"
    scene.view_settings.exposure = 0.3
    scene.render.filepath = str(out)
    bpy.ops.render.render(write_still=True)
