from .boxes import draw_boxes as draw_boxes, palette as palette, text_color as text_color
from .lines import Axis as Axis, Line as Line, line_chart as line_chart
from .pages import (
    html_page as html_page,
    page_output as page_output,
    page_part as page_part,
    tables_page as tables_page,
)
from .sheets import contact_sheet as contact_sheet, side_by_side as side_by_side
