/** The ways files come in: chosen, photographed, dropped (folders too) and pasted. */

/** Call `take` with the files of every kind of giving. */
export function receiveFiles(inputs, take) {
  for (const input of inputs) {
    input.addEventListener("change", () => {
      take([...input.files]);
      input.value = ""; // so that the same file can be chosen again
    });
  }
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) take(files);
  });
  receiveDrops(take);
}

function receiveDrops(take) {
  const mark = (on) => document.body.classList.toggle("dragging", on);
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    mark(true);
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) mark(false);
  });
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    mark(false);
    const files = await dropped(event.dataTransfer);
    if (files.length) take(files);
  });
}

async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  return (await Promise.all(entries.map(inside))).flat();
}

/** The files of an entry and of all below it, by name. */
async function inside(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const entries = [];
  const reader = entry.createReader();
  for (;;) {
    // A reader hands out about a hundred at a time.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    entries.push(...some);
  }
  entries.sort((a, b) => a.name.localeCompare(b.name));
  const files = (await Promise.all(entries.map(inside))).flat();
  return files.filter(({ name }) => !name.startsWith("."));
}
