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

  /** A character that is a word of its own, between blanks; others as they are. @param {string} letter */
  #apart(letter) {
    const code = /** @type {number} */ (letter.codePointAt(0));
    return this.alone.some(([first, last]) => first <= code && code <= last) ? ` ${letter} ` : letter;
  }
}
