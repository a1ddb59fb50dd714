"""Makes files of every format, as programs write them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from datetime import date, datetime
from email.message import EmailMessage

Placed = tuple[float, float, str]


def pdf(*pages: Sequence[Placed], size: int = 10, info: str = "") -> bytes:
    """Texts at their places, in points from the lower left corner."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", ""]
    font = 3
    objects.append("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    kids = []
    for page in pages:
        shown = "\n".join(f"BT /F1 {size} Tf {x} {y} Td ({text}) Tj ET" for x, y, text in page)
        objects.append(f"<< /Length {len(shown)} >>\nstream\n{shown}\nendstream")
        content = len(objects)
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {content} 0 R"
            f" /Resources << /Font << /F1 {font} 0 R >> >> >>"
        )
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    objects.append(f"<< {info} >>")
    out = io.BytesIO(b"")
    out.write(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(out.tell())
        out.write(f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1"))
    start = out.tell()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    out.write(f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}".encode())
    trailer = f"<< /Size {len(objects) + 1} /Root 1 0 R /Info {len(objects)} 0 R >>"
    out.write(f"trailer\n{trailer}\nstartxref\n{start}\n%%EOF\n".encode())
    return out.getvalue()


def scan(*texts: str) -> bytes:
    """A PDF of one page that is nothing but a picture of these lines."""
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("L", (1700, 2200), 255)
    pen = ImageDraw.Draw(picture)
    for number, text in enumerate(texts):
        pen.text((150, 200 + 70 * number), text, fill=0, font=ImageFont.load_default(44))
    content = io.BytesIO()
    picture.save(content, "PDF", resolution=200)
    return content.getvalue()


def lines(x: float, top: float, *texts: str) -> list[Placed]:
    return [(x, top - 12 * number, text) for number, text in enumerate(texts)]


def docx() -> bytes:
    from docx import Document

    document = Document()
    document.core_properties.title = "Bridge survey"
    document.core_properties.author = "A. Quill"
    document.core_properties.created = datetime(2024, 3, 1)
    document.add_heading("Condition", level=1)
    document.add_paragraph("The deck was renewed in 2019.")
    document.add_heading("Piers", level=2)
    document.add_paragraph("first pier", style="List Bullet")
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip([*table.rows[0].cells, *table.rows[1].cells], ["Pier", "State", "East", "good"], strict=True):
        cell.text = text
    document.sections[0].footer.paragraphs[0].text = "confidential footer"
    saved = io.BytesIO()
    document.save(saved)
    return saved.getvalue()


def pptx() -> bytes:
    from pptx import Presentation
    from pptx.util import Inches

    presentation = Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[1])
    slide.shapes.title.text = "Results"
    slide.placeholders[1].text = "Revenue grew\nCosts fell"
    slide.notes_slide.notes_text_frame.text = "Say why costs fell."
    presentation.slides.add_slide(presentation.slide_layouts[6])
    third = presentation.slides.add_slide(presentation.slide_layouts[6])
    table = third.shapes.add_table(2, 2, Inches(1), Inches(1), Inches(4), Inches(1)).table
    for at, text in enumerate(["Segment", "Q4", "Gaming", "1,368"]):
        table.cell(at // 2, at % 2).text = text
    saved = io.BytesIO()
    presentation.save(saved)
    return saved.getvalue()


def xlsx() -> bytes:
    from openpyxl import Workbook

    workbook = Workbook()
    sheet = workbook.active
    assert sheet is not None
    sheet.title = "Segments"
    sheet.append(["AMD results, in millions"])
    sheet.append(["Segment", "Q4 2023", "Share", "Closed"])
    sheet.append(["Data Center", 2282, 0.37, date(2023, 12, 30)])
    sheet.append(["Gaming", 1368.5, None, None])
    sheet["B3"].number_format = sheet["B4"].number_format = "#,##0"
    sheet["C3"].number_format = "0%"
    hidden = workbook.create_sheet("Scratch")
    hidden.sheet_state = "hidden"
    saved = io.BytesIO()
    workbook.save(saved)
    return saved.getvalue()


def epub(*chapters: str) -> bytes:
    saved = io.BytesIO()
    with zipfile.ZipFile(saved, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        book.writestr(
            "META-INF/container.xml",
            '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="OEBPS/content.opf"/></rootfiles></container>',
        )
        items = "".join(f'<item id="c{n}" href="chapter%20{n}.xhtml"/>' for n in range(len(chapters)))
        spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
        book.writestr(
            "OEBPS/content.opf",
            '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>'
            "<dc:title>The Long Quay</dc:title><dc:creator>M. Tern</dc:creator></metadata>"
            f"<manifest>{items}</manifest><spine>{spine}</spine></package>",
        )
        for n, chapter in enumerate(chapters):
            page = f'<html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head><body>{chapter}</body></html>'
            book.writestr(f"OEBPS/chapter {n}.xhtml", f"<!DOCTYPE html>{page}")
    return saved.getvalue()


def email(*, html_only: bool = False) -> bytes:
    message = EmailMessage()
    message["Subject"] = "Tide tables für Mai"
    message["From"] = "Ann <ann@example.org>"
    message["To"] = "crew@example.org"
    message["Date"] = "Mon, 06 May 2024 08:00:00 +0200"
    if html_only:
        message.set_content("<p>High water at <b>6:30</b>.</p>", subtype="html")
    else:
        message.set_content("High water at 6:30.\n")
        message.add_alternative("<p>never</p>", subtype="html")
    message.add_attachment(b"\0", maintype="application", subtype="pdf", filename="tides.pdf")
    return message.as_bytes()


def archive(**members: bytes) -> bytes:
    saved = io.BytesIO()
    with zipfile.ZipFile(saved, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name.replace("__", "/") + ".xml", content)
    return saved.getvalue()
