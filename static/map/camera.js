// Zoom and pan over an SVG by moving its viewBox: wheel, pinch, drag with momentum, keys.

const ZOOM_MAX = 5;
const FRICTION = 0.92;
const UNIT_MAX = 1.45;

export class Camera {
  constructor(svg, box, onMove) {
    Object.assign(this, { svg, home: box, box: { ...box }, onMove, pointers: new Map(), speed: null });
    this.calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    svg.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    svg.addEventListener("pointerdown", (event) => this.#down(event));
    svg.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel", "pointerleave"]) svg.addEventListener(end, (event) => this.#up(event));
    // A drag must not end as a click on the seat under the finger.
    svg.addEventListener("click", (event) => { if (this.dragged) { event.stopPropagation(); event.preventDefault(); } }, true);
    this.#show();
    new ResizeObserver(() => this.#show()).observe(svg);
  }

  get zoomed() { return this.box.width < this.home.width * 0.98; }

  zoom(factor, at = { x: this.box.x + this.box.width / 2, y: this.box.y + this.box.height / 2 }) {
    const width = Math.min(this.home.width, Math.max(this.home.width / ZOOM_MAX, this.box.width / factor));
    const ratio = width / this.box.width;
    this.box = { x: at.x - (at.x - this.box.x) * ratio, y: at.y - (at.y - this.box.y) * ratio, width, height: this.box.height * ratio };
    this.#show();
  }

  get far() { return this.#scale() > UNIT_MAX; }

  approach(event) { this.zoom(this.#scale(), this.#point(event)); }

  reset() { this.box = { ...this.home }; this.#show(); }

  pan(dx, dy) { this.box.x += dx; this.box.y += dy; this.#show(); }

  // Brings a point into view, for the keyboard.
  reveal(x, y, margin) {
    const { box } = this;
    if (x < box.x + margin) box.x = x - margin;
    if (x > box.x + box.width - margin) box.x = x + margin - box.width;
    if (y < box.y + margin) box.y = y - margin;
    if (y > box.y + box.height - margin) box.y = y + margin - box.height;
    this.#show();
  }

  #show() {
    const { box, home } = this;
    box.x = Math.min(Math.max(box.x, home.x), home.x + home.width - box.width);
    box.y = Math.min(Math.max(box.y, home.y), home.y + home.height - box.height);
    this.svg.setAttribute("viewBox", `${box.x} ${box.y} ${box.width} ${box.height}`);
    // Words keep their size at every zoom; numbers that would not fit into their seat wait for a closer look.
    const unit = this.#scale();
    this.svg.style.setProperty("--unit", `${unit}px`);
    this.svg.classList.toggle("far", this.far);
    this.svg.classList.toggle("zoomed", this.zoomed);
    this.onMove?.({ ...box, unit, near: this.zoomed });
  }

  #scale() {
    const frame = this.svg.getBoundingClientRect();
    return frame.width ? Math.max(this.box.width / frame.width, this.box.height / frame.height) : 1;
  }

  #point(event) {
    const matrix = this.svg.getScreenCTM();
    return new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
  }

  #wheel(event) {
    if (!event.ctrlKey && !this.zoomed && event.deltaY > 0) return;
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.002)), this.#point(event));
  }

  #down(event) {
    this.pointers.set(event.pointerId, event);
    this.dragged = false;
    this.start = { x: event.clientX, y: event.clientY };
    this.speed = null;
  }

  #move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    if (this.pointers.size === 2) this.#pinch(event, before);
    else if (this.zoomed) this.#drag(event, before);
    this.pointers.set(event.pointerId, event);
  }

  #drag(event, before) {
    if (!this.dragged && Math.hypot(event.clientX - this.start.x, event.clientY - this.start.y) < 6) return;
    this.dragged = true;
    const scale = this.#scale();
    this.speed = { x: (before.clientX - event.clientX) * scale, y: (before.clientY - event.clientY) * scale };
    this.pan(this.speed.x, this.speed.y);
  }

  #pinch(event, before) {
    this.dragged = true;
    const other = [...this.pointers.values()].find((pointer) => pointer.pointerId !== event.pointerId);
    const span = (pointer) => Math.hypot(pointer.clientX - other.clientX, pointer.clientY - other.clientY);
    const middle = { clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2 };
    this.zoom(span(event) / Math.max(1, span(before)), this.#point(middle));
  }

  #up(event) {
    if (!this.pointers.delete(event.pointerId) || this.pointers.size || !this.speed || this.calm) return;
    const glide = () => {
      if (!this.speed || Math.hypot(this.speed.x, this.speed.y) < 0.3) return;
      this.pan(this.speed.x, this.speed.y);
      this.speed = { x: this.speed.x * FRICTION, y: this.speed.y * FRICTION };
      requestAnimationFrame(glide);
    };
    glide();
    setTimeout(() => { this.dragged = false; }, 0);
  }
}
