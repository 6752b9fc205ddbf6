from .boxes import draw_boxes as draw_boxes, palette as palette, text_color as text_color
from .pages import html_page as html_page, page_output as page_output
from .sheets import contact_sheet as contact_sheet, side_by_side as side_by_side
