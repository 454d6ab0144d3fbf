"use strict";
(() => {
  const root = document.documentElement, button = document.getElementById("scheme");
  const media = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.scheme || (media.matches ? "dark" : "light")) === "dark";
  const named = () => { button.textContent = isDark() ? "Light" : "Dark"; };
  button.hidden = false;
  button.addEventListener("click", () => { root.dataset.scheme = isDark() ? "light" : "dark"; named(); });
  media.addEventListener("change", named);
  named();

  // Titles, which browsers show late, become a text beside the pointer.
  const told = document.createElement("div");
  told.id = "told";
  told.hidden = true;
  document.body.append(told);
  for (const title of document.querySelectorAll(".tip > title")) {
    title.parentNode.dataset.text = title.textContent;
    title.remove();
  }
  const show = event => {
    const tip = event.target instanceof Element ? event.target.closest(".tip") : null;
    told.hidden = !tip;
    if (!tip) return;
    told.textContent = tip.dataset.text;
    const { width, height } = told.getBoundingClientRect();
    const left = event.clientX + 14 + width > innerWidth ? event.clientX - 14 - width : event.clientX + 14;
    const top = event.clientY + 14 + height > innerHeight ? event.clientY - 14 - height : event.clientY + 14;
    told.style.transform = `translate(${Math.max(4, left)}px, ${Math.max(4, top)}px)`;
  };
  addEventListener("pointermove", show);
  addEventListener("pointerdown", show);
  addEventListener("scroll", () => { told.hidden = true; }, { passive: true });
})();
