/**
 * From texts to tokens: words by their index in the model's vocabulary, cut as docs/contracts.md says ("Words"), here as
 * on every server and device. What becomes of each character stands beside the words.
 */

/**
 * @typedef {object} Described as an interface describes the input `tokens`.
 * @property {string[]} vocabulary the words by their index: that for padding, that for unknown words, then those known.
 * @property {Record<string, string>} [folding] replacement → all characters that become it.
 * @property {number[][]} [alone] first and last code points of characters that are words of their own.
 */

/** The index of words that the model does not know; 0 is no word. */
const UNKNOWN = 1;

/** Words that are named in place of an unknown one, at most, and how much they are like it, at least. */
const NEAR = 3;
const LIKE = 0.6;

export class Words {
  /** @type {Map<string, number>} */
  #index;
  /** @type {Map<string, string>} */
  #becomes = new Map();

  /** @param {Described} described */
  constructor({ vocabulary, folding = {}, alone = [] }) {
    /** @type {string[]} that are known, the most frequent first. */
    this.known = vocabulary.slice(UNKNOWN + 1);
    this.alone = alone;
    this.#index = new Map(vocabulary.map((word, i) => [word, i]));
    for (const [replacement, letters] of Object.entries(folding)) {
      for (const letter of letters) this.#becomes.set(letter, replacement);
    }
  }

  /**
   * The words of a text as the model sees them, known ones and others.
   *
   * @param {string} text
   * @returns {string[]}
   */
  split(text) {
    const letters = [...text.replace(/\p{Surrogate}/gu, "\ufffd")];
    const folded = letters.map((letter) => this.#becomes.get(letter) ?? this.#apart(letter)).join("");
    return folded.split(" ").filter(Boolean);
  }

  /**
   * The first words of a text by their index, filled up with zeros.
   *
   * @param {string} text
   * @param {number} length
   * @returns {Int32Array<ArrayBuffer>}
   */
  tokens(text, length) {
    const tokens = new Int32Array(length);
    tokens.set(
      this.split(text)
        .slice(0, length)
        .map((word) => this.#index.get(word) ?? UNKNOWN),
    );
    return tokens;
  }

  /**
   * Words of a text that the model does not know, each once.
   *
   * @param {string} text
   */
  unknown(text) {
    return [...new Set(this.split(text))].filter((word) => !this.#index.has(word));
  }

  /**
   * Known words that are written much like one that is not, the likest first: those that the command names.
   *
   * @param {string} word
   */
  near(word) {
    const rated = this.known.map((known) => /** @type {[number, string]} */ ([likeness([...known], [...word]), known]));
    const like = rated.filter(([rate]) => rate >= LIKE).sort((a, b) => b[0] - a[0] || (a[1] < b[1] ? 1 : -1));
    return like.slice(0, NEAR).map(([, known]) => known);
  }

  /** A character that is a word of its own, between blanks; others as they are. @param {string} letter */
  #apart(letter) {
    const code = /** @type {number} */ (letter.codePointAt(0));
    return this.alone.some(([first, last]) => first <= code && code <= last) ? ` ${letter} ` : letter;
  }
}

/**
 * How much of two words is the same, 0 to 1: 2 M / T, of T letters in both, M in blocks that match.
 *
 * @param {string[]} one
 * @param {string[]} other
 */
function likeness(one, other) {
  return (2 * matching(one, other)) / (one.length + other.length || 1);
}

/**
 * Letters in the longest block that both have, and in those before and behind it.
 *
 * @param {string[]} one
 * @param {string[]} other
 * @returns {number}
 */
function matching(one, other) {
  let [start, at, length] = [0, 0, 0];
  for (let i = 0; i < one.length; i++) {
    for (let j = 0; j < other.length; j++) {
      let k = 0;
      while (i + k < one.length && one[i + k] === other[j + k]) k++;
      if (k > length) [start, at, length] = [i, j, k];
    }
  }
  if (!length) return 0;
  const before = matching(one.slice(0, start), other.slice(0, at));
  return before + length + matching(one.slice(start + length), other.slice(at + length));
}
