from .boxes import draw_boxes as draw_boxes, palette as palette
from .sheets import contact_sheet as contact_sheet, html_page as html_page, side_by_side as side_by_side
