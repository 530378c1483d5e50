/* From a text to tokens: words by their index in the model's vocabulary, cut as docs/contracts.md says ("Words"), here as
 * on every server and device. What becomes of each character stands in the model's metadata, so no tables of Unicode are
 * needed. C99 or C++11. */
#ifndef GENLINE_WORDS_H_
#define GENLINE_WORDS_H_

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { GENLINE_UNKNOWN = 1, GENLINE_CODES = 0x110000, GENLINE_DAMAGED = 0xFFFD };

typedef struct {
  const char *vocabulary, *alone; /* where they stand in the metadata, which has to stay */
  const char **becomes;           /* of each character the JSON string of what it becomes; NULL: itself */
} GenlineWords;

/* The next character of a text in UTF-8 that has not ended; a byte that does not belong there is U+FFFD. */
static inline int32_t genline_utf8(const char **at) {
  const unsigned char *p = (const unsigned char *)*at;
  const int more = *p < 0x80 ? 0 : *p >= 0xC2 && *p < 0xE0 ? 1 : *p >= 0xE0 && *p < 0xF0 ? 2 : *p >= 0xF0 && *p < 0xF5 ? 3 : -1;
  int32_t code = more < 0 ? GENLINE_DAMAGED : more ? *p & (0x3F >> more) : *p;
  ++*at;
  for (int i = 1; i <= more; ++i) {
    if ((p[i] & 0xC0) != 0x80) return GENLINE_DAMAGED;
    code = code << 6 | (p[i] & 0x3F);
  }
  if (more > 0 && (code < (more == 1 ? 0x80 : more == 2 ? 0x800 : 0x10000) || code >= GENLINE_CODES ||
                   (code >= 0xD800 && code < 0xE000)))
    return GENLINE_DAMAGED;
  *at += more > 0 ? more : 0;
  return code;
}

/* Four hexadecimal digits; -1 where they are none. */
static inline int32_t genline_hex(const char *p) {
  int32_t code = 0;
  for (int i = 0; i < 4; ++i) {
    const char *digits = "0123456789abcdefABCDEF", *found = p[i] ? strchr(digits, p[i]) : NULL;
    if (!found) return -1;
    code = code << 4 | (int32_t)(found - digits < 16 ? found - digits : found - digits - 6);
  }
  return code;
}

/* The next character of a JSON string that `at` is inside of; -1 at its end, or where it is damaged. */
static inline int32_t genline_json(const char **at) {
  const char *p = *at, *const plain = "bfnrt";
  if (!*p || *p == '"') return -1;
  if (*p != '\\') return genline_utf8(at);
  if (p[1] != 'u') {
    if (!p[1]) return -1;
    const char *known = strchr(plain, p[1]);
    *at = p + 2;
    return known ? "\b\f\n\r\t"[known - plain] : p[1];
  }
  int32_t code = genline_hex(p + 2);
  if (code < 0) return -1;
  p += 6;
  if (code >= 0xD800 && code < 0xDC00 && p[0] == '\\' && p[1] == 'u') {
    const int32_t low = genline_hex(p + 2);
    if (low >= 0xDC00 && low < 0xE000) code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00), p += 6;
  }
  *at = p;
  return code;
}

/* The inside of the next string before `end`, a bracket; NULL where there is none. */
static inline const char *genline_string(const char *at, char end) {
  while (*at && *at != '"' && *at != end) ++at;
  return *at == '"' ? at + 1 : NULL;
}

/* What follows a string that `at` is inside of. */
static inline const char *genline_behind(const char *at) {
  while (genline_json(&at) >= 0) continue;
  return *at == '"' ? at + 1 : at + strlen(at);
}

/* Read what the metadata of a model, JSON that ends with a zero, says of its words. 0: it says nothing, or memory is
 * short; else `words.becomes` is to be freed. */
static inline int genline_words(const char *json, GenlineWords *words) {
  const char *folding = strstr(json, "\"folding\":");
  words->vocabulary = strstr(json, "\"vocabulary\":"), words->alone = strstr(json, "\"alone\":");
  if (!words->vocabulary || !(words->vocabulary = strchr(words->vocabulary, '['))) return 0;
  words->becomes = (const char **)calloc(GENLINE_CODES, sizeof *words->becomes);
  if (!words->becomes) return 0;
  const char *key = folding ? genline_string(folding + strlen("\"folding\":"), '}') : NULL;
  while (key) {
    const char *letters = genline_string(genline_behind(key), '}');
    if (!letters) break;
    for (int32_t code = genline_json(&letters); code >= 0; code = genline_json(&letters)) words->becomes[code] = key;
    key = genline_string(genline_behind(letters), '}');
  }
  return 1;
}

/* Whether a character is a word of its own. */
static inline int genline_alone(const GenlineWords *words, int32_t code) {
  const char *p = words->alone;
  while (p && *(p += strcspn(p, "0123456789]"))) {
    char *end = NULL;
    if (*p == ']') {
      ++p;
      p += strspn(p, ", \n\r\t");
      if (*p != '[') return 0;
      continue;
    }
    const long first = strtol(p, &end, 10);
    const long last = strtol(end + strspn(end, ", \n\r\t"), &end, 10);
    if (first <= code && code <= last) return 1;
    p = end;
  }
  return 0;
}

/* The index of a word of `length` characters. */
static inline int32_t genline_index(const GenlineWords *words, const int32_t *word, size_t length) {
  const char *at = genline_string(words->vocabulary, ']');
  for (int32_t index = 0; at; ++index, at = genline_string(genline_behind(at), ']')) {
    const char *letter = at;
    size_t same = 0;
    while (same < length && genline_json(&letter) == word[same]) ++same;
    if (same == length && *letter == '"') return index;
  }
  return GENLINE_UNKNOWN;
}

/* The first `count` words of a text by their index, filled up with zeros. Gives how many there are; `count` + 1 where
 * memory is short. */
static inline size_t genline_tokens(const GenlineWords *words, const char *text, int32_t *tokens, size_t count) {
  size_t found = 0, length = 0, room = 0;
  int32_t *word = NULL;
  memset(tokens, 0, count * sizeof *tokens);
  while (found < count) {
    const int ends = !*text;
    int32_t code = ends ? ' ' : genline_utf8(&text);
    const char *becomes = ends ? NULL : words->becomes[code];
    const int alone = !ends && !becomes && genline_alone(words, code);
    int step = alone ? 0 : 1; /* a character alone: a blank, itself, a blank */
    do {
      int32_t letter = becomes ? genline_json(&becomes) : step == 1 || !alone ? code : ' ';
      if (becomes && letter < 0) break;
      if (letter != ' ') {
        if (length == room) {
          int32_t *larger = (int32_t *)realloc(word, (room = 2 * room + 16) * sizeof *word);
          if (!larger) return free(word), count + 1;
          word = larger;
        }
        word[length++] = letter;
      } else if (length) {
        tokens[found++] = genline_index(words, word, length), length = 0;
      }
    } while (found < count && (becomes || (alone && ++step < 3)));
    if (ends) break;
  }
  free(word);
  return found;
}

#endif /* GENLINE_WORDS_H_ */
