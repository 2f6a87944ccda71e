"""Makes a thumbnail: a base64 image in, a base64 JPEG or PNG out. Pillow comes in the package."""

import base64
import io

from PIL import Image

# A small file can unfold to gigabytes of pixels. 50 megapixels (200 MB) are refused by memory anyway.
Image.MAX_IMAGE_PIXELS = 25_000_000


def handler(event, context):
    asked = event["data"] if "specversion" in event else event
    width, height = int(asked.get("width", 128)), int(asked.get("height", 128))
    if not (1 <= width <= 2048 and 1 <= height <= 2048):
        raise ValueError("a thumbnail of %d x %d is not between 1 and 2048" % (width, height))
    with Image.open(io.BytesIO(base64.b64decode(asked["image"], validate=True))) as image:
        original = list(image.size)
        kind = "PNG" if image.mode in ("RGBA", "LA", "P") else "JPEG"
        image.thumbnail((width, height))
        small = io.BytesIO()
        image.convert("RGBA" if kind == "PNG" else "RGB").save(small, kind)
        return {
            "image": base64.b64encode(small.getvalue()).decode("ascii"),
            "format": kind.lower(),
            "size": list(image.size),
            "original_size": original,
        }
