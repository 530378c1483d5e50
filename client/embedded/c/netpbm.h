/* Pictures in files as Netpbm has them (netpbm.sourceforge.net/doc): PGM for grey, PPM for colour, PAM with opacity. */
#ifndef NETPBM_H_
#define NETPBM_H_

#include <stddef.h>
#include <stdint.h>

/* Pixels (height, width, channels) of a PGM or PPM file, of 8 bits whatever its own; `-` is stdin. To be freed. What
 * is no such picture ends the program with one line. */
uint8_t *read_picture(const char *name, size_t *height, size_t *width, size_t *channels);

/* Write one, whole or not at all; `-` is stdout. Grey is a PPM where the name ends in .ppm. */
void write_picture(const char *name, const uint8_t *pixels, size_t height, size_t width, size_t channels);

/* The same of one frame after another, into files with a number before the ending: x-00.ppm, x-01.ppm, …; of a single
 * one into `name` itself. */
void write_pictures(const char *name, const uint8_t *pixels, size_t frames, size_t height, size_t width,
                    size_t channels);

#endif /* NETPBM_H_ */
