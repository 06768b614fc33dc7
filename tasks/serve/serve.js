// Arrow keys between sessions, forms that answer at once, and a new session shown when it is published.
(() => {
  "use strict";
  const site = document.querySelector(".site");
  const POLL_MS = 5_000;
  let touched = false;

  // Left and right lead to the session before and after, unless the key means something where the reader is.
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.defaultPrevented) return;
    const rel = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
    const link = rel && document.querySelector(`a[rel=${rel}]`);
    if (!link || event.target.closest("input, select, textarea, [tabindex='0']")) return;
    event.preventDefault();
    location.assign(link.href);
  });

  for (const form of document.querySelectorAll("form[data-auto]")) {
    form.addEventListener("change", (event) => {
      if (event.target.type === "text" || !form.checkValidity()) return;
      // The page is loaded again: the field keeps the focus, so that the next key reaches it.
      sessionStorage.setItem("focus", JSON.stringify([location.pathname, event.target.name]));
      form.requestSubmit();
    });
  }
  for (const form of document.querySelectorAll("form")) {
    form.addEventListener("input", (event) => {
      touched = true;
      const shown = event.target.parentElement.querySelector("output");
      if (shown) shown.textContent = event.target.value;
    });
    // An empty field is not part of a shared address.
    form.addEventListener("formdata", (event) => {
      for (const [name, value] of [...event.formData]) if (!value) event.formData.delete(name);
    });
  }
  const [path, name] = JSON.parse(sessionStorage.getItem("focus") || "[]");
  sessionStorage.removeItem("focus");
  if (path === location.pathname) document.querySelector(`.choices [name=${name}]`)?.focus();

  // Control and Enter run the statement.
  document.querySelector("textarea")?.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.target.form.requestSubmit();
  });

  async function look() {
    try {
      const answer = await fetch("/version");
      if (answer.ok) show(await answer.json());
    } catch {
      // The server has ended, or starts again: the page stays as it is.
    }
    setTimeout(look, POLL_MS);
  }

  function show(now) {
    if (now.version === site.dataset.version) return;
    if (!new URLSearchParams(location.search).get(site.dataset.pinnedBy) && !touched) {
      location.reload();
      return;
    }
    const said = document.querySelector(".published");
    if (said.dataset.version === now.version) return;
    said.dataset.version = now.version;
    const link = document.createElement("a");
    link.href = location.href;
    link.textContent = "Load this page again";
    said.replaceChildren(`New data was published; the latest session is ${now.session}. `, link);
    said.hidden = false;
  }
  setTimeout(look, POLL_MS);
})();
