/* Printed pictures in their full size, for small screens. */

const Pictures = (() => {
  function start() {
    const dialog = document.getElementById("enlarged");
    for (const button of document.querySelectorAll("button.enlarge")) {
      const { src, alt } = button.firstElementChild;
      button.addEventListener("click", () => {
        dialog.replaceChildren(element("img", { src, alt }), element("button", { type: "button", autofocus: true }, "Close"));
        dialog.showModal();
      });
    }
    dialog.addEventListener("click", () => dialog.close());
  }

  return { start };
})();
