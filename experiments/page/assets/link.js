/* The view of the landscape and the chosen architecture in the page's address, so that a link leads back to them. */

const Link = (() => {
  const MARK = "#view&"; // no part of the page has such an id
  const PAUSE = 200; // milliseconds; browsers refuse addresses that change all the time
  const parts = []; // objects with `save(words)` and `restore(words)`
  let waiting = 0;

  const read = () => (location.hash.startsWith(MARK) ? new URLSearchParams(location.hash.slice(MARK.length)) : null);

  function address() {
    const words = new URLSearchParams();
    parts.forEach((part) => part.save(words));
    return `${MARK}${words}`;
  }

  /** Something was changed by the reader. */
  function changed() {
    clearTimeout(waiting);
    waiting = setTimeout(() => history.replaceState(null, "", address()), PAUSE);
  }

  /** Whether the address had a view. */
  async function restore() {
    const words = read();
    if (!words) return false;
    for (const part of parts) await part.restore(words);
    document.getElementById("landscape").scrollIntoView();
    return true;
  }

  const whole = () => location.href.replace(/#.*/s, "") + address();

  addEventListener("hashchange", restore);
  return { changed, restore, whole, part: (part) => parts.push(part) };
})();
