// All images, filters, and edits of many images at once.

export class Grid {
  constructor(app) {
    this.app = app;
    this.open = false;
  }

  shown() {
    return this.app.rows.map((_, index) => index);
  }

  toggle() {}

  refresh() {}
}
