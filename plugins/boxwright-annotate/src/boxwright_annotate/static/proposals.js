// The boxes that a model proposes. Nothing becomes a label without a person.

export class Proposals {
  constructor(app) {
    this.app = app;
    this.list = [];
  }

  start() {}

  show() {}

  space() {
    return false;
  }

  reject() {}
}
