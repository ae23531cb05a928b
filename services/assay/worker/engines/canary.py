"""A request that any working endpoint answers: it tells a sick endpoint from sick samples.

It is sent only when nothing else has been answered, and never becomes a completion.
"""

from __future__ import annotations

import base64

CANARY_TEXT = "hello"
"""What VLMEvalKit asks, too, when it wants to know whether an endpoint works."""

CANARY_PICTURE = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtq"
    "eJmBanGQc1tdhbWGkJ6jq62rZ4C8ybqmx5moq6T/2wBDARweHigjKE4rK06kbl1upKSkpKSkpKSkpKSk"
    "pKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKSkpKT/wAARCACAAIADASIAAhEBAxEB/8QA"
    "GQABAQEBAQEAAAAAAAAAAAAAAAQGAwIF/8QALRAAAgICAAQFAwMFAAAAAAAAAAECAwQRBRIhMRNBUWFx"
    "gZHRFCKhQrHB4fD/xAAZAQEAAwEBAAAAAAAAAAAAAAAAAQIEAwX/xAAcEQEBAAIDAQEAAAAAAAAAAAAA"
    "AQIRAxIxISL/2gAMAwEAAhEDEQA/ANMAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAc"
    "MrLpxIc10tb7JdWxmZMcTHlbNb10Ud62/Qy+TkWZVzttluT+yXoiuWWnfh4e/wBvizJ4zk3NqrVMNa0u"
    "r+/4ILLbLZc1k5Tetbk9nkHG21vxwxx8j1Ccq5KUJOMl2cXpluNxfKoaUp+LBeU+/wB+5ABLYZY45exq"
    "sLPpzI/serEtyg+6/JUY2qydNkbK5OM4vaaNPw7NWbRz6UZxepRT/n4OuOW2Hm4en2eKwAXZwAAAAAAA"
    "Gc45kO7M8NNclS0tPfXz/H0PnHq2x22zslpOcnJ69zyZ7d162GPXGQAAWAAAK+GZDxs2uW0oyfLLb10f"
    "/b+hIBPiMpMpqtoDnj2O3HqslpOcFJ690dDQ8izQAAAAAAADGzhKucoTWpRbTXueS/jOO6M6UlHULP3L"
    "58/5/uQGezVetjl2xlAAFgAAACjAx3k5ddfLuO9y+F3CLdTdafFhKvFphNalGEU176OoBoeTbu7AAEAA"
    "AAACXiGHHMx3DorF1hJ+TMvbXOmyVdkXGcXppmyJM7h9WbFc+4ziuk1/n1RTLHbRw83T5fGWBXk8OysZ"
    "vmrcopb5odV/r6khy1pvmUym4AFGNg5GS14dT5X/AFvpH7gtk+1wjFykoxTbb0kvM0nCsD9HS5WJeNPu"
    "15L0HD+GV4erJPnu11fkvgvOuOOvtYebm7fnHwABdmAAAAAAAAAAAOdmPTbLmsprm9a3KKZ0AJdOUMai"
    "uSlCiuMl2cYJM6gBNtvoAAgAAAAAAAAAAAAAAAAAAAAAAAAAAH//2Q=="
)
"""A red disc on white, 128 x 128, as JPEG."""
