// A file handed from one page to the next: dropped on the bench, trained on elsewhere. The browser keeps it until it is
// taken.

const STORE = "handed";
const KEY = "file";

function withStore(mode, work) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open("gatescope", 1);
    opening.addEventListener("upgradeneeded", () => opening.result.createObjectStore(STORE));
    opening.addEventListener("error", () => reject(opening.error));
    opening.addEventListener("success", () => {
      const transaction = opening.result.transaction(STORE, mode);
      const request = work(transaction.objectStore(STORE));
      transaction.addEventListener("complete", () => resolve(request.result));
      transaction.addEventListener("abort", () => reject(transaction.error));
    });
  });
}

/** Keeps a file for the next page; rejects where the browser keeps nothing. */
export const handOff = (file) => withStore("readwrite", (store) => store.put(file, KEY));

/** The file that was handed on, once; undefined where there is none. */
export async function takeHandedOff() {
  const file = await withStore("readonly", (store) => store.get(KEY)).catch(() => undefined);
  if (file) await withStore("readwrite", (store) => store.delete(KEY));
  return file;
}
