// Texts for who has none at hand, made here: small languages with a rule that a network can be seen to learn.

const LINES = 3000;

// The same text for everybody: a small generator of its own (Park and Miller 1988).
function dice(seed) {
  let state = seed;
  return (sides) => {
    state = (state * 48271) % 2147483647;
    return state % sides;
  };
}

function brackets(roll) {
  const pairs = ["()", "[]", "{}"];
  const letters = "abcdefgh";
  const inside = (depth) => {
    let text = "";
    for (let k = 1 + roll(3); k > 0; k--) {
      const [open, close] = pairs[roll(3)];
      text += depth > 0 && roll(3) ? open + inside(depth - 1) + close : letters[roll(8)];
    }
    return text;
  };
  return inside(4);
}

function sums(roll) {
  const [a, b] = [roll(50), roll(50)];
  return `${a}+${b}=${a + b}`;
}

function counting(roll) {
  const from = 1 + roll(900);
  return Array.from({ length: 8 }, (_, k) => from + k).join(" ");
}

export const EXAMPLES = [
  ["brackets that close", brackets, "what was opened last must be closed first: something to remember"],
  ["sums", sums, "the digits of two numbers decide the third"],
  ["counting", counting, "each number is one more than the last"],
];

/** The text of an example as a file. */
export function fileOf([title, line], seed = 1) {
  const roll = dice(seed);
  const lines = Array.from({ length: LINES }, () => line(roll));
  return new File([`${lines.join("\n")}\n`], `${title}.txt`, { type: "text/plain" });
}
