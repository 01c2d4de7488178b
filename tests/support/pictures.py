"""Pictures of pages that are small enough for a repository: PNG with a palette of at most 256 colours."""

import base64
import struct
import zlib
from collections import Counter

from playwright.async_api import Page

_PIXELS = """async (png) => {
    const picture = new Image();
    picture.src = `data:image/png;base64,${png}`;
    await picture.decode();
    const canvas = new OffscreenCanvas(picture.width, picture.height);
    const drawing = canvas.getContext("2d");
    drawing.drawImage(picture, 0, 0);
    const { data } = drawing.getImageData(0, 0, picture.width, picture.height);
    let bytes = "";
    for (let at = 0; at < data.length; at += 4) bytes += String.fromCharCode(data[at], data[at + 1], data[at + 2]);
    return [picture.width, picture.height, btoa(bytes)];
}"""
_MOST = 256


async def picture(page: Page) -> bytes:
    """What is to be seen of a page now. Colours beyond the most frequent ones become the nearest of these."""
    png = base64.b64encode(await page.screenshot()).decode()
    width, height, encoded = await page.evaluate(_PIXELS, png)
    pixels = base64.b64decode(encoded)
    colours = [pixels[at : at + 3] for at in range(0, len(pixels), 3)]
    frequent = [colour for colour, _ in Counter(colours).most_common(_MOST)]
    place = {colour: _nearest(colour, frequent) for colour in set(colours)}
    rows = (bytes(place[colour] for colour in colours[at : at + width]) for at in range(0, width * height, width))
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", b"".join(frequent)),
            _chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows), 9)),
            _chunk(b"IEND", b""),
        )
    )


def _nearest(colour: bytes, palette: list[bytes]) -> int:
    def distance(place: int) -> int:
        return sum((one - other) ** 2 for one, other in zip(colour, palette[place], strict=True))

    return min(range(len(palette)), key=distance)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
