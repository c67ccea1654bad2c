// Zoom and search of a flame graph. Frames know where they are as parts of the whole: data-x, data-w, data-d.
"use strict";
(function () {
  const all = document.getElementById("frames");
  const margin = Number(all.dataset.margin), width = Number(all.dataset.width);
  const character = Number(all.dataset.character);
  const details = document.getElementById("details"), reset = document.getElementById("reset");
  const matched = document.getElementById("matched");
  const frames = Array.from(all.children).map(function (g) {
    const title = g.querySelector("title").textContent;
    return {
      g: g, rect: g.querySelector("rect"), text: g.querySelector("text"), title: title,
      // What stands before the costs, in the last parentheses.
      name: title.slice(0, title.lastIndexOf(" (")),
      x: Number(g.dataset.x), w: Number(g.dataset.w), d: Number(g.dataset.d),
    };
  });

  function fit(name, room) {
    const count = Math.floor((room - 6) / character);
    if (name.length <= count) return name;
    return count < 3 ? "" : name.slice(0, count - 2) + "..";
  }

  // Shows the part of the whole from x on, w wide; what is below depth d leads there.
  function zoom(x, w, d) {
    const slack = 1e-6;
    frames.forEach(function (f) {
      const leads = f.d < d && f.x <= x + slack && f.x + f.w >= x + w - slack;
      const inside = f.d >= d && f.x >= x - slack && f.x + f.w <= x + w + slack;
      f.g.style.display = leads || inside ? "" : "none";
      f.g.classList.toggle("faded", leads);
      const from = leads ? 0 : (f.x - x) / w, part = leads ? 1 : f.w / w;
      f.rect.setAttribute("x", margin + from * width);
      f.rect.setAttribute("width", part * width);
      f.text.setAttribute("x", margin + from * width + 3);
      f.text.textContent = fit(f.name, part * width);
    });
    reset.setAttribute("visibility", d > 0 ? "visible" : "hidden");
  }

  function search() {
    const pattern = window.prompt("Regular expression to mark, nothing to end", "");
    if (pattern === null) return;
    let wanted = null;
    try {
      wanted = pattern === "" ? null : new RegExp(pattern);
    } catch (error) {
      matched.textContent = String(error.message);
      return;
    }
    // Of frames above one another, the lowest counts.
    let found = [];
    frames.forEach(function (f) {
      const is = wanted !== null && f.d > 0 && wanted.test(f.name);
      f.g.classList.toggle("found", is);
      const covered = found.some(function (o) { return o.x <= f.x + 1e-6 && o.x + o.w >= f.x + f.w - 1e-6; });
      if (is && !covered) {
        found = found.filter(function (o) { return !(f.x <= o.x + 1e-6 && f.x + f.w >= o.x + o.w - 1e-6); });
        found.push(f);
      }
    });
    const sum = found.reduce(function (sum, f) { return sum + f.w; }, 0);
    matched.textContent = wanted === null ? "" : "Matched: " + (100 * sum).toFixed(2) + " %";
  }

  frames.forEach(function (f) {
    f.g.addEventListener("mouseover", function () { details.textContent = f.title; });
    f.g.addEventListener("mouseout", function () { details.textContent = " "; });
    f.g.addEventListener("click", function () { zoom(f.x, f.w, f.d); });
  });
  reset.addEventListener("click", function () { zoom(0, 1, 0); });
  document.getElementById("search").addEventListener("click", search);
  window.addEventListener("keydown", function (event) {
    if (event.key === "/") { event.preventDefault(); search(); }
  });
})();
