"""All metadata that a picture file states, wherever its format has it, brought to what holds of upright pixels.

Whatever is found is claimed in the picture's account: kept, or converted or dropped with a note.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from PIL import Image

from codec.pictures import exif, jxl_head, photoshop, resolution, texts, xmp
from codec.pictures.account import Account
from codec.pictures.metadata import Picture, of_info
from codec.pictures.parts import Parts
from codec.pictures.texts import Text

#: TIFF tags that say something of the picture, which become EXIF data; the others describe how the file is laid out
TIFF_TAGS = (
    269, 270, 271, 272, 282, 283, 285, 286, 287, 296, 305, 306, 315, 316, 18246, 18249, 33432, 33550, 33922, 34264,
    34665, 34735, 34736, 34737, 34853, 37510, 40091, 40092, 40093, 40094, 40095, 42112, 42113, 50341,
)  # fmt: skip
_TIFF_ORIENTATION, _TIFF_XMP, _TIFF_IPTC, _TIFF_PHOTOSHOP = 274, 700, 33723, 34377
_PNG_XMP = "XML:com.adobe.xmp"
_NO_RESOLUTION = (1, 1)  #: what Pillow says of a TIFF that states none
_EXIF_NAMES = ("exif", "eXIf", "APP1 Exif", "EXIF", *(f"tag {tag}" for tag in TIFF_TAGS))
_XMP_NAMES = ("xmp", _PNG_XMP, "APP1 XMP", "XMP ", f"tag {_TIFF_XMP}", "extension XMP DataXMP", "xml ")
_RESOLUTION_NAMES = ("dpi", "resolution", "aspect", "jfif_unit", "jfif_density", "pHYs")
_PHOTOSHOP_NAMES = ("APP13 Photoshop", "photoshop", f"tag {_TIFF_PHOTOSHOP}", f"tag {_TIFF_IPTC}")


@dataclass
class Found:
    """What is stated, as it is stated.

    orientation: how the pixels in the file have to be turned, 1 to 8; to_turn: the same of those that Pillow hands out,
    1 where it has turned them.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    xmp_extension: bytes | None = None
    photoshop: bytes | None = None
    texts: list[Text] = field(default_factory=list)
    resolution: bytes | None = None
    orientation: int = 1
    to_turn: int = 1

    def put_into(self, picture: Picture, account: Account) -> None:
        """Give the metadata to a picture whose pixels have been turned."""
        if self.exif:
            self.exif, notes = exif.turned(self.exif, self.orientation)
            for note in notes:
                account.convert("metadata", note)
        if self.xmp and xmp.orientation(self.xmp) not in (None, 1):
            self.xmp = xmp.upright(self.xmp)
        if self.photoshop and self.orientation != 1:
            without = photoshop.without_thumbnails(self.photoshop)
            if without != self.photoshop:
                account.drop("metadata", "the thumbnail in Photoshop's resources, which is not turned, was dropped")
            self.photoshop = without
        picture.exif, picture.xmp, picture.xmp_extension = self.exif, self.xmp, self.xmp_extension
        picture.photoshop, picture.resolution = self.photoshop or None, self.resolution
        picture.texts = texts.pack(self.texts) or None


def _undecoded(image: Image.Image) -> bool:
    """Whether Pillow has not seen the end of the image's file. What it has seen is in `info`, unless the image's owner
    has taken it out since: then it is not asked for any more.
    """
    return bool(getattr(image, "tile", None))


def gather(image: Image.Image, stated: Parts, account: Account) -> Found:
    """The metadata of a loaded image; stated: what its file is made of, empty where it has none."""
    found = Found()
    listed, profiles = _texts(image, stated, account)
    found.texts = [text for text in listed if text.keyword != _PNG_XMP]
    found.exif = _exif(image, stated, profiles)
    if found.exif:
        account.keep("metadata", *_EXIF_NAMES)
    by_png = next((text.text.encode() for text in listed if text.keyword == _PNG_XMP), None)
    known = of_info(image, "xmp") or (by_png if _undecoded(image) else None)
    known = known or _xmp_of_latin(image, stated) or profiles.get("xmp")
    known = known or (stated.first("xml ") if image.format == "JXL" else None)
    _find_xmp(found, stated, known, profiles, account)
    found.photoshop = _photoshop(image, stated, profiles)
    if found.photoshop:
        account.keep("metadata", *_PHOTOSHOP_NAMES)
    _say_unused(found, profiles, account)
    found.resolution = _resolution(image, stated)
    account.keep("resolution", *_RESOLUTION_NAMES)
    if (chunk := stated.first("pHYs")) is not None and (len(chunk) != 9 or chunk[8] > 1):
        account.drop("resolution", "a resolution that is damaged was dropped", "pHYs")
    found.orientation = _orientation(found, image, stated, account)
    if image.format == "TIFF":
        found.to_turn = _left_of_tiff(image)
    else:
        found.to_turn = 1 if _turned_by_decoder(image) else found.orientation
    return found


# --- orientation -----------------------------------------------------------------------------------


def _orientation(found: Found, image: Image.Image, stated: Parts, account: Account) -> int:
    """How the pixels in the file have to be turned: as EXIF says, or as XMP does where EXIF does not."""
    account.keep("orientation", f"tag {_TIFF_ORIENTATION}", "property irot", "property imir")
    if image.format == "TIFF":
        own = stated.tags.number(_TIFF_ORIENTATION) if stated.tags is not None else None
    elif image.format == "AVIF":  # of the file's properties, which hold; Pillow says them as EXIF
        own = exif.orientation(exif.without_prefix(of_info(image, "exif") or b""))
    elif _turned_by_decoder(image):
        own = jxl_head.of_bytes(stated.first("JXL head") or b"").orientation
    else:
        own = exif.orientation(found.exif) if found.exif else None
    by_exif = exif.orientation(found.exif) if found.exif else None
    if (image.format == "AVIF" or _turned_by_decoder(image)) and by_exif not in (None, 1, own or 1):
        own = own or 1
        account.convert("orientation", f"EXIF states orientation {by_exif}, the file's own is {own}, which holds")
    by_xmp = xmp.orientation(found.xmp) if found.xmp else None
    if own not in range(1, 9):
        own = None
    if own and by_xmp and own != by_xmp:
        account.convert("orientation", f"EXIF states orientation {own}, XMP {by_xmp}: that of EXIF holds")
    elif by_xmp and by_xmp > 1 and not own:
        account.convert("orientation", f"the picture was turned as XMP states (orientation {by_xmp}); EXIF states none")
    return own or by_xmp or 1


def _turned_by_decoder(image: Image.Image) -> bool:
    """Whether this is a JPEG XL, whose decoder turns the picture as the codestream states, whatever EXIF states; of one
    that holds a JPEG, the package hands out that as it is.
    """
    return image.format == "JXL" and not getattr(image, "jpeg", False)


def _left_of_tiff(image: Image.Image) -> int:
    """How the pixels of a TIFF have to be turned: Pillow turns what it loads, and forgets the orientation then."""
    try:
        left = image.getexif().get(_TIFF_ORIENTATION, 1)
    except MemoryError:
        raise
    except Exception:  # EXIF is outside the pixels: damage there must not cost the picture
        return 1
    return left if left in range(1, 9) else 1


# --- EXIF ------------------------------------------------------------------------------------------


def _exif(image: Image.Image, stated: Parts, profiles: dict[str, bytes]) -> bytes | None:
    """The EXIF data as they lie in the file; of a TIFF file, its own tags that say something of the picture."""
    if image.format == "TIFF":
        return _tiff_exif(image, stated)
    chunk = stated.first("eXIf")
    if chunk and any(part.name in texts.PNG_KINDS and part.data.startswith(b"exif\0") for part in stated):
        return exif.without_prefix(chunk)  # a text of this keyword hides it
    raw: bytes | None = of_info(image, "exif") or (chunk if _undecoded(image) else None)
    if image.format == "AVIF" and (decoder := getattr(image, "_decoder", None)):
        raw = decoder.get_info()[4]  # where the file turns the picture, Pillow writes the EXIF data anew
    raw = exif.without_prefix(raw or profiles.get("exif") or b"")
    if not raw and profiles.get("APP1", b"").startswith(exif.PREFIX):
        raw = exif.without_prefix(profiles["APP1"])
    return raw or None


def _tiff_exif(image: Image.Image, stated: Parts) -> bytes | None:
    if stated.tags is not None:
        picked = stated.tags.picked(TIFF_TAGS)
        return picked.stream() if picked.tags else None
    known = image.getexif()  # the file is not there any more: Pillow writes the tags anew
    for tag in [tag for tag in known if tag not in TIFF_TAGS]:
        del known[tag]
    return exif.without_prefix(known.tobytes()) if len(known) else None


# --- XMP -------------------------------------------------------------------------------------------


def _xmp_of_latin(image: Image.Image, stated: Parts) -> bytes | None:
    """XMP in a PNG text that is not for it: one of Latin-1, in which the packet's bytes are what they are."""
    for part in stated if _PNG_XMP in image.info else ():
        if part.name in ("tEXt", "zTXt") and (text := texts.of_png(part.name, part.data)) and text.keyword == _PNG_XMP:
            return text.text.encode("latin-1").lstrip(b"\0")
    return None


def _find_xmp(found: Found, stated: Parts, known: bytes | None, profiles: dict[str, bytes], account: Account) -> None:
    """Find the XMP packet and its extension; known: the packet that Pillow hands out, or a profile; that of a TIFF it
    has changed where it has turned the picture.
    """
    if (packets := len(stated.all("APP1 XMP"))) > 1:
        account.drop("metadata", f"only the last of {packets} XMP packets is kept")
    raw = stated.tags.value(_TIFF_XMP) if stated.tags is not None and known else known
    if not raw and profiles.get("APP1", b"").startswith(xmp.JPEG_PREFIX):
        raw = profiles["APP1"].removeprefix(xmp.JPEG_PREFIX)
    if not raw:
        return
    packet = xmp.in_utf8(raw)
    if packet is None:
        account.drop("metadata", "the XMP data is no text and was dropped", *_XMP_NAMES)
        return
    if packet is not raw:
        account.convert("metadata", "the XMP data was recoded in UTF-8")
    account.keep("metadata", *_XMP_NAMES)
    found.xmp = packet
    if id := xmp.extension_id(packet):
        found.xmp_extension = xmp.extension(id, stated.all("APP1 XMP extension"))
        if found.xmp_extension is None:
            account.drop("metadata", "extended XMP, of which parts are missing, was dropped", "APP1 XMP extension")
            found.xmp = xmp.without_pointer(packet)
        else:
            account.keep("metadata", "APP1 XMP extension")
    elif stated.first("APP1 XMP extension"):
        account.drop("metadata", "extended XMP that nothing points to was dropped", "APP1 XMP extension")


# --- the rest --------------------------------------------------------------------------------------


def _texts(image: Image.Image, stated: Parts, account: Account) -> tuple[list[Text], dict[str, bytes]]:
    """Comments and texts, and other metadata that PNG files hold as texts in hexadecimal, by its name."""
    found: list[Text | None] = []
    if image.format == "PNG" and stated.parts:
        found = [texts.of_png(part.name, part.data) for part in stated if part.name in texts.PNG_KINDS]
        found = [text for text in found if text is None or text.keyword in image.info or _undecoded(image)]
    elif isinstance(known := getattr(image, "text", None), dict):
        found = [Text(str(keyword), str(text)) for keyword, text in known.items()]
    listed = any(text and text.keyword == "comment" for text in found)  # ImageMagick's name of it in PNG
    comment = None if listed else of_info(image, "comment")
    comments = stated.all("COM") if image.format in ("JPEG", "MPO") and comment is not None else stated.all("comment")
    for data in filter(None, comments or [comment or b""]):
        text, certain = texts.comment(data)
        found.append(text)
        if not certain:
            account.convert("metadata", "a comment that is not UTF-8 was taken for Latin-1", "comment")
    whole = [text for text in found if text is not None]
    if len(whole) < len(found):
        account.drop("metadata", "a text that is damaged was dropped")
    profiles: dict[str, bytes] = {}
    for text in whole:
        profile = texts.profile(text.text) if text.keyword.startswith(texts.RAW_PROFILE) else None
        if profile is not None:
            profiles.setdefault(text.keyword.removeprefix(texts.RAW_PROFILE), profile)
    kept = [text for text in whole if not text.keyword.startswith(texts.RAW_PROFILE)]
    account.keep("metadata", "comment", *(text.keyword for text in kept))
    used = ("exif", "xmp", "APP1", "iptc", "8bim", "photoshop")
    account.keep("metadata", *(texts.RAW_PROFILE + name for name in profiles if name in used))
    return kept, profiles


def _photoshop(image: Image.Image, stated: Parts, profiles: dict[str, bytes]) -> bytes | None:
    segments = stated.all("APP13 Photoshop") if "photoshop" in image.info else []
    found = b"".join(data.removeprefix(photoshop.JPEG_PREFIX) for data in segments)
    if stated.tags is not None:
        found = stated.tags.value(_TIFF_PHOTOSHOP) or b""
        records = stated.tags.value(_TIFF_IPTC)
        if records and photoshop.IPTC not in dict(photoshop.resources(found)):
            found += photoshop.of_iptc(records)
    for name in ("8bim", "photoshop", "iptc"):
        found = found or photoshop.of_profile(profiles.get(name, b"")) or b""
    return found or None


def _say_unused(found: Found, profiles: dict[str, bytes], account: Account) -> None:
    """Say which profiles in hexadecimal are not kept, since the file has the same kind of metadata in another place."""
    used = [value for value in (found.exif, found.xmp, found.photoshop) if value]
    for name, data in profiles.items():
        content = exif.without_prefix(data).removeprefix(xmp.JPEG_PREFIX)
        if content not in used and xmp.in_utf8(content) not in used and photoshop.of_profile(data) not in used:
            account.drop("metadata", "", texts.RAW_PROFILE + name)


def _resolution(image: Image.Image, stated: Parts) -> bytes | None:
    if (jfif := stated.first("APP0 JFIF")) is not None:
        return resolution.of_jfif(jfif[7:12])
    if (chunk := stated.first("pHYs")) is not None:
        return resolution.of_png(chunk)
    if stated.tags is not None or image.format in ("JPEG", "MPO", "PNG") and stated.parts:  # it is in the EXIF data
        return None
    if image.format in ("JPEG", "MPO"):  # whose "dpi" is that of EXIF where the header has none
        density = image.info.get("jfif_density", (1, 1))
        return resolution.of_jfif(struct.pack(">BHH", image.info.get("jfif_unit", 0), *density))
    dpi = image.info.get("dpi")
    if not isinstance(dpi, tuple) or len(dpi) != 2 or dpi == _NO_RESOLUTION:
        return None
    return resolution.of_dpi([float(value) for value in dpi])
