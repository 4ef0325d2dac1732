"use strict";
// Two versions of a picture over each other, parted by a slider, panned and zoomed in step.

class Viewer {
  constructor(section, pictures) {
    const find = (selector) => section.querySelector(selector);
    this.pictures = pictures;
    this.stage = find(".stage");
    this.layers = [...section.querySelectorAll(".layer")];
    this.images = this.layers.map((layer) => layer.firstElementChild);
    this.captions = [find(".caption.left"), find(".caption.right")];
    this.divider = find(".divider");
    this.split = find("#split");
    this.output = find("#zoom");
    this.selects = [find("#left"), find("#right")];
    this.picture = find("#picture");
    this.view = null; // {scale, x, y}, or null to fit
    this.fingers = new Map();

    this.picture.replaceChildren(...pictures.map((one, i) => new Option(one.name, i)));
    this.picture.addEventListener("change", () => { this.view = null; this.choose(); });
    for (const select of this.selects) select.addEventListener("change", () => this.load());
    this.split.addEventListener("input", () => this.place());
    find("#zoom-in").addEventListener("click", () => this.zoom(2));
    find("#zoom-out").addEventListener("click", () => this.zoom(0.5));
    find("#zoom-fit").addEventListener("click", () => { this.view = null; this.place(); });
    find("#zoom-pixel").addEventListener("click", () => this.zoom(1 / this.current().scale / devicePixelRatio));
    this.stage.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(event.deltaY < 0 ? 1.25 : 0.8, event);
    }, { passive: false });
    this.stage.addEventListener("pointerdown", (event) => this.down(event));
    this.stage.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) {
      this.stage.addEventListener(end, (event) => this.fingers.delete(event.pointerId));
    }
    this.stage.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.place()).observe(this.stage);
    this.choose();
  }

  choose() {
    const versions = this.pictures[this.picture.value].versions;
    this.selects.forEach((select, side) => {
      const before = select.value;
      select.replaceChildren(...versions.map((one) => new Option(one.name, one.name)));
      // the first two codecs, unless others were chosen; the original comes last
      select.value = versions.some((one) => one.name === before) ? before : versions[Math.min(side, versions.length - 1)].name;
    });
    this.load();
  }

  load() {
    const picture = this.pictures[this.picture.value];
    this.selects.forEach((select, side) => {
      const version = picture.versions.find((one) => one.name === select.value);
      this.images[side].src = version.uri;
      this.images[side].width = picture.width;
      this.images[side].height = picture.height;
      this.captions[side].textContent = version.caption;
    });
    this.place();
  }

  // the view, worked out from the stage where it is to fit
  current() {
    if (this.view) return this.view;
    const { width, height } = this.pictures[this.picture.value];
    const [wide, high] = [this.stage.clientWidth, this.stage.clientHeight];
    const scale = Math.min(wide / width, high / height);
    return { scale, x: (wide - scale * width) / 2, y: (high - scale * height) / 2 };
  }

  place() {
    const { scale, x, y } = this.current();
    for (const image of this.images) {
      image.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
      image.classList.toggle("pixels", scale * devicePixelRatio >= 2);
    }
    this.divider.style.left = `${this.split.value}%`;
    this.layers[1].style.clipPath = `inset(0 0 0 ${this.split.value}%)`;
    const percent = `${Math.round(100 * scale * devicePixelRatio)} %`;
    this.output.textContent = percent;
  }

  // about a place on the screen, or the middle
  zoom(factor, at) {
    const { scale, x, y } = this.current();
    const frame = this.stage.getBoundingClientRect();
    const [cx, cy] = at ? [at.clientX - frame.left, at.clientY - frame.top] : [frame.width / 2, frame.height / 2];
    const next = Math.min(64, Math.max(0.05, scale * factor));
    this.view = { scale: next, x: cx - ((cx - x) * next) / scale, y: cy - ((cy - y) * next) / scale };
    this.place();
  }

  pan(dx, dy) {
    const { scale, x, y } = this.current();
    this.view = { scale, x: x + dx, y: y + dy };
    this.place();
  }

  moveSplit(value) {
    this.split.value = value;
    this.place();
  }

  down(event) {
    const frame = this.stage.getBoundingClientRect();
    const split = frame.left + (frame.width * this.split.value) / 100;
    this.sliding = !this.fingers.size && Math.abs(event.clientX - split) < 24;
    this.fingers.set(event.pointerId, event);
    this.stage.setPointerCapture(event.pointerId);
  }

  move(event) {
    const before = this.fingers.get(event.pointerId);
    if (!before) return;
    this.fingers.set(event.pointerId, event);
    if (this.sliding) {
      const frame = this.stage.getBoundingClientRect();
      this.moveSplit((100 * (event.clientX - frame.left)) / frame.width);
    } else if (this.fingers.size === 1) {
      this.pan(event.clientX - before.clientX, event.clientY - before.clientY);
    } else {
      const other = [...this.fingers].find(([id]) => id !== event.pointerId)[1];
      const reach = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
      if (reach(before) > 0) this.zoom(reach(event) / reach(before), other);
    }
  }

  key(event) {
    const actions = {
      ArrowLeft: () => this.pan(40, 0), ArrowRight: () => this.pan(-40, 0),
      ArrowUp: () => this.pan(0, 40), ArrowDown: () => this.pan(0, -40),
      "+": () => this.zoom(2), "=": () => this.zoom(2), "-": () => this.zoom(0.5),
      ",": () => this.moveSplit(+this.split.value - 5), ".": () => this.moveSplit(+this.split.value + 5),
      0: () => { this.view = null; this.place(); },
    };
    if (!(event.key in actions) || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    actions[event.key]();
  }
}
