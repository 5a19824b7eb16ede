// Loads the script that draws diagrams, 3.5 MB, on the pages that have some, and before the theme looks for it.
if (document.querySelector(".mermaid")) {
  const address = document.currentScript.src.replace("diagrams.js", "mermaid.js");
  document.write(`<script src="${address}"></script>`);
}
