#define _POSIX_C_SOURCE 200809L
#include "netpbm.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model.h"

enum { MOST_PIXELS = 89478485 }; /* as genclient: what claims more is no photograph */

/* A number of the header, after white space and comments; -1 where there is none. */
static long header_number(FILE *file) {
  int c = getc(file);
  while (isspace(c) || c == '#') {
    if (c == '#')
      while (c != '\n' && c != EOF) c = getc(file);
    c = getc(file);
  }
  long number = isdigit(c) ? 0 : -1;
  for (; isdigit(c) && number < INT_MAX / 10; c = getc(file)) number = 10 * number + (c - '0');
  return isdigit(c) || !(isspace(c) || c == EOF) ? -1 : number; /* one white space ends it, and is read */
}

/* The next value: in digits, or of one byte or two, the high one first; -1 at the end. */
static long value(FILE *file, int digits, long most) {
  if (digits) return header_number(file);
  const int high = most > 255 ? getc(file) : 0, low = getc(file);
  return high == EOF || low == EOF ? -1 : 256L * high + low;
}

uint8_t *read_picture(const char *name, size_t *height, size_t *width, size_t *channels) {
  FILE *file = strcmp(name, "-") ? fopen(name, "rb") : stdin;
  struct stat about;
  if (!file || fstat(fileno(file), &about)) stop(FAILED, "cannot read %s: %s", name, strerror(errno));
  if (S_ISDIR(about.st_mode)) stop(FAILED, "cannot read %s: %s", name, strerror(EISDIR));
  const int magic = getc(file) == 'P' ? getc(file) : 0;
  if (magic != '2' && magic != '3' && magic != '5' && magic != '6')
    stop(FAILED, "%s is no PPM or PGM: expected a file that begins with P6, P5, P3 or P2", name);
  const long wide = header_number(file), high = header_number(file), most = header_number(file);
  if (wide < 1 || high < 1 || most < 1 || most > 65535)
    stop(FAILED, "%s: damaged: expected width, height and largest value after P%c", name, magic);
  if (wide > MOST_PIXELS / high) stop(FAILED, "%s: %ld×%ld pixels are too many", name, wide, high);
  *width = (size_t)wide, *height = (size_t)high, *channels = magic == '3' || magic == '6' ? 3 : 1;
  const size_t count = *width * *height * *channels;
  uint8_t *pixels = malloc(count);
  if (!pixels) stop(FAILED, "cannot read %s: %s", name, strerror(ENOMEM));
  for (size_t i = 0; i < count; ++i) {
    const long found = value(file, magic < '5', most);
    if (found < 0 || found > most)
      stop(FAILED, "%s: damaged: found %zu of %zu values from 0 to %ld", name, i, count, most);
    pixels[i] = (uint8_t)rint((double)found / (double)most * 255);
  }
  if (file != stdin) fclose(file);
  return pixels;
}

/* Netpbm: PGM for grey, PPM for colour, PAM with transparency; a name that ends in .ppm gets that for grey as well. */
static int write_netpbm(FILE *file, const char *name, const uint8_t *pixels, size_t height, size_t width,
                        size_t channels) {
  const size_t length = strlen(name), copies = channels == 1 && length > 4 &&
                          !strcmp(name + length - 4, ".ppm") ? 3 : 1;
  if (channels == 4)
    fprintf(file, "P7\nWIDTH %zu\nHEIGHT %zu\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n", width, height);
  else
    fprintf(file, "P%d\n%zu %zu\n255\n", channels * copies == 1 ? 5 : 6, width, height);
  for (size_t i = 0; i < height * width * channels; ++i)
    for (size_t copy = 0; copy < copies; ++copy) putc(pixels[i], file);
  return fflush(file) || ferror(file);
}

/* A new file beside a place, under a name that nobody has; with the rights that a new file gets. */
static FILE *open_beside(char *beside) {
  const int descriptor = mkstemp(beside);
  if (descriptor < 0) return NULL;
  const mode_t mask = umask(0);
  umask(mask);
  FILE *file = fchmod(descriptor, 0666 & ~mask) ? NULL : fdopen(descriptor, "wb");
  if (!file) {
    unlink(beside);
    close(descriptor);
  }
  return file;
}

/* Write beside the place and rename, so that nobody reads half a picture; `-` and what is no plain file, directly. */
void write_picture(const char *name, const uint8_t *pixels, size_t height, size_t width, size_t channels) {
  struct stat about;
  char beside[PATH_MAX + 1];
  const int direct = !strcmp(name, "-") || (!stat(name, &about) && !S_ISREG(about.st_mode));
  if (snprintf(beside, sizeof beside, direct ? "%s" : "%s.XXXXXX", name) >= PATH_MAX)
    stop(FAILED, "cannot write %s: %s", name, strerror(ENAMETOOLONG));
  FILE *file = !strcmp(name, "-") ? out : direct ? fopen(name, "wb") : open_beside(beside);
  if (!file) stop(FAILED, "cannot write %s: %s", name, strerror(errno));
  int failed = write_netpbm(file, name, pixels, height, width, channels) || (!direct && fsync(fileno(file)));
  int reason = errno;
  if (fclose(file) && !failed) failed = 1, reason = errno;
  if (!failed && !direct && rename(beside, name)) failed = 1, reason = errno;
  if (failed && !direct) unlink(beside);
  if (failed) stop(FAILED, "cannot write %s: %s", name, strerror(reason));
}

void write_pictures(const char *name, const uint8_t *pixels, size_t frames, size_t height, size_t width,
                    size_t channels) {
  char numbered[PATH_MAX + 1];
  const char *base = strrchr(name, '/'), *dot = strrchr(base ? base : name, '.');
  const int stem = dot ? (int)(dot - name) : (int)strlen(name);
  int digits = 2;
  for (size_t most = 100; most < frames; most *= 10) ++digits;
  if (frames > 1 && !strcmp(name, "-")) stop(USAGE, "OUT: found -, expected a name, since a clip has %zu frames", frames);
  for (size_t i = 0; i < frames; ++i) {
    const char *place = frames > 1 ? numbered : name;
    if (snprintf(numbered, sizeof numbered, "%.*s-%0*zu%s", stem, name, digits, i, dot ? dot : "") > PATH_MAX)
      stop(FAILED, "cannot write %s: %s", name, strerror(ENAMETOOLONG));
    write_picture(place, pixels + i * height * width * channels, height, width, channels);
  }
}
