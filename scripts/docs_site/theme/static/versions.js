// The version switcher. Each version is a folder of the site; versions.json beside them lists all.
(async () => {
  const root = new URL(document.documentElement.dataset.content_root || "./", location.href);
  const site = new URL("../", root);
  const here = root.pathname.split("/").filter(Boolean).pop();
  if (!location.protocol.startsWith("http")) return;
  const box = document.querySelector(".versions");
  let known;
  try {
    const answer = await fetch(new URL("versions.json", site));
    if (!answer.ok) return;
    known = await answer.json();
  } catch {
    return; // one version on its own
  }
  if (!box || !known.versions.includes(decodeURIComponent(here))) return;
  const select = box.querySelector("select");
  for (const version of known.versions) {
    select.add(new Option(version, version, false, version === here));
  }
  select.addEventListener("change", async () => {
    const page = location.pathname.slice(root.pathname.length);
    const same = new URL(`${select.value}/${page}`, site);
    const there = await fetch(same, { method: "HEAD" }).then((answer) => answer.ok, () => false);
    location.href = there ? same : new URL(`${select.value}/index.html`, site);
  });
  box.querySelector("label").hidden = false;
  box.querySelector(".version").hidden = true;
  if (here !== known.newest) {
    const banner = document.createElement("p");
    banner.className = "other-version";
    const link = document.createElement("a");
    link.href = new URL(`${known.newest}/index.html`, site);
    link.textContent = known.newest;
    banner.append(here === "latest" ? "This describes what is not released yet; released: " : "There is a newer version: ", link);
    document.querySelector("article")?.prepend(banner);
  }
})();
