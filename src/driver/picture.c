// SPDX-License-Identifier: Apache-2.0
// Pictures as inputs: a .png file becomes uint8[c, y, x], 0 to 255, of the channels and the size that the tensor has.
// Another size: the largest middle part of the tensor's proportions is scaled, by triangles as wide as a pixel of the
// larger of the two, so that nothing is skipped. Grey is repeated; of colours, grey is the luma of ITU-R BT.601.
#include "driver/driver.h"

#ifndef TETC_PNG

bool picture_values(Ctx *cx, const char *from, const Array *want, const unsigned char *data, size_t len, Values *out) {
  (void)data, (void)len, (void)out;
  diag_help(values_diag(cx, from, want, "this tetc was built without libpng, and reads no pictures"),
            "build it where libpng is, or make a .npy file of the picture");
  return false;
}

#else

#include <math.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SIDE = 1 << 15 };

typedef struct Picture {
  int64_t channels, height, width; // 1 grey, 2 and alpha, 3 colours, 4 and alpha
  unsigned char *data;             // row by row, channels innermost
} Picture;

// A file on its way through libpng.
typedef struct Reader {
  Ctx *cx;
  const unsigned char *data;
  size_t len, at;
  char why[200];
  Picture made;
} Reader;

static void read_bytes(png_structp png, png_bytep out, size_t n) {
  Reader *r = png_get_io_ptr(png);
  if (n > r->len - r->at) png_error(png, "it is cut short");
  memcpy(out, r->data + r->at, n);
  r->at += n;
}

static void on_error(png_structp png, png_const_charp text) {
  Reader *r = png_get_error_ptr(png);
  snprintf(r->why, sizeof r->why, "%s", text);
  png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text) { (void)png, (void)text; }

// All that may not return.
static void decode(Reader *r, png_structp png, png_infop info) {
  png_set_read_fn(png, r, read_bytes);
  png_set_user_limits(png, MOST_SIDE, MOST_SIDE);
  png_read_info(png, info);
  png_set_expand(png); // palettes, and less than 8 bits
  png_set_scale_16(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  Picture *p = &r->made;
  p->channels = png_get_channels(png, info);
  p->height = png_get_image_height(png, info);
  p->width = png_get_image_width(png, info);
  size_t row = (size_t)(p->channels * p->width);
  p->data = arena_alloc(r->cx->arena, row * (size_t)p->height);
  png_bytep *rows = NEW_ARRAY(r->cx->arena, png_bytep, p->height);
  for (int64_t y = 0; y < p->height; y++) rows[y] = p->data + (size_t)y * row;
  png_read_image(png, rows);
  png_read_end(png, NULL);
}

// False with r->why.
static bool read_picture(Reader *r) {
  if (r->len < 8 || png_sig_cmp(r->data, 0, 8)) {
    snprintf(r->why, sizeof r->why, "it is no .png file");
    return false;
  }
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, r, on_error, on_warning);
  png_infop info = png ? png_create_info_struct(png) : NULL;
  if (!info) memory_out();
  if (!setjmp(png_jmpbuf(png))) {
    decode(r, png, info);
    png_destroy_read_struct(&png, &info, NULL);
    return true;
  }
  png_destroy_read_struct(&png, &info, NULL);
  return false;
}

// ---- channels and size ----------------------------------------------------------------------------------------------

// Channel c of `want` at a pixel.
static unsigned char channel_of(const Picture *p, const unsigned char *pixel, int64_t c, int64_t want) {
  bool colours = p->channels > 2, alpha = p->channels % 2 == 0;
  if (c == 3) return alpha ? pixel[p->channels - 1] : 255;
  if (want == 1 && colours) // as the usual libraries round it
    return (unsigned char)((pixel[0] * 19595 + pixel[1] * 38470 + pixel[2] * 7471 + 0x8000) >> 16);
  return pixel[colours ? c : 0];
}

// Whether all of it can be seen.
static bool is_opaque(const Picture *p) {
  for (int64_t i = p->channels - 1; p->channels % 2 == 0 && i < p->channels * p->height * p->width; i += p->channels)
    if (p->data[i] != 255) return false;
  return true;
}

// Where along one side the pixels of the result come from: a triangle each, cut at the picture's edges.
typedef struct Taps {
  int64_t first, n;
  double *weight; // their sum is 1
} Taps;

static Taps *side_taps(Arena *a, int64_t from, double part, int64_t to) {
  Taps *taps = NEW_ARRAY(a, Taps, to);
  double step = part / (double)to, reach = fmax(step, 1), start = ((double)from - part) / 2;
  for (int64_t i = 0; i < to; i++) {
    double middle = start + ((double)i + 0.5) * step, sum = 0;
    int64_t low = (int64_t)fmax(floor(middle - reach), 0), high = (int64_t)fmin(ceil(middle + reach), (double)from);
    taps[i] = (Taps){low, high - low, NEW_ARRAY(a, double, high - low)};
    for (int64_t k = 0; k < high - low; k++)
      sum += taps[i].weight[k] = fmax(1 - fabs((double)(low + k) + 0.5 - middle) / reach, 0);
    for (int64_t k = 0; k < high - low; k++) taps[i].weight[k] /= sum;
  }
  return taps;
}

// One channel of the picture, of another size.
static void scale_plane(Arena *a, const unsigned char *from, const Picture *p, const Taps *tx, const Taps *ty,
                        int64_t height, int64_t width, unsigned char *out) {
  double *rows = NEW_ARRAY(a, double, p->height *width);
  for (int64_t y = 0; y < p->height; y++)
    for (int64_t x = 0; x < width; x++)
      for (int64_t k = 0; k < tx[x].n; k++)
        rows[y * width + x] += tx[x].weight[k] * from[y * p->width + tx[x].first + k];
  for (int64_t y = 0; y < height; y++)
    for (int64_t x = 0; x < width; x++) {
      double v = 0;
      for (int64_t k = 0; k < ty[y].n; k++) v += ty[y].weight[k] * rows[(ty[y].first + k) * width + x];
      out[y * width + x] = (unsigned char)fmin(floor(v + 0.5), 255);
    }
}

static void fit_picture(Arena *a, const Picture *p, int64_t channels, int64_t height, int64_t width,
                        unsigned char *out) {
  unsigned char *plane = arena_alloc(a, (size_t)(p->height * p->width));
  bool flat = (double)p->width * (double)height > (double)p->height * (double)width; // wider than what is wanted
  Taps *tx =
      side_taps(a, p->width, flat ? (double)p->height * (double)width / (double)height : (double)p->width, width);
  Taps *ty =
      side_taps(a, p->height, flat ? (double)p->height : (double)p->width * (double)height / (double)width, height);
  for (int64_t c = 0; c < channels; c++) {
    for (int64_t i = 0; i < p->height * p->width; i++) plane[i] = channel_of(p, p->data + i * p->channels, c, channels);
    scale_plane(a, plane, p, tx, ty, height, width, out + c * height * width);
  }
}

// The channels and the size that the tensor has: [.., c, y, x], leading extents 1. False after a report.
static bool wanted_size(Ctx *cx, const char *from, const Array *want, int64_t size[3]) {
  int n = want ? want->ndim : 0;
  bool image = n >= 2;
  for (int i = 0; i + 3 < n; i++) image &= want->shape[i] == 1;
  size[0] = n >= 3 ? want->shape[n - 3] : 1;
  if (image) size[1] = want->shape[n - 2], size[2] = want->shape[n - 1];
  if (image && (size[0] == 1 || size[0] == 3 || size[0] == 4)) return true;
  Diag *g = values_diag(cx, from, want, "a picture has 1, 3 or 4 channels, rows and columns, in this order");
  diag_help(g, "give it as a .npy file, of the type and shape of the tensor");
  return false;
}

bool picture_values(Ctx *cx, const char *from, const Array *want, const unsigned char *data, size_t len, Values *out) {
  Reader r = {.cx = cx, .data = data, .len = len};
  const Picture *p = &r.made;
  int64_t *size = NEW_ARRAY(cx->arena, int64_t, 3);
  *out = (Values){.from = from, .type = DT_U8, .ndim = 3, .shape = size};
  if (!wanted_size(cx, from, want, size)) return false;
  if (!read_picture(&r)) return values_diag(cx, from, want, "%s", r.why), false;
  if (size[0] != 4 && !is_opaque(p)) {
    Diag *g = values_diag(cx, from, want, "it is transparent in parts, and what is behind them is not known");
    diag_help(g, "lay it on a background: `convert in.png -background white -flatten out.png`");
    return false;
  }
  out->elems = size[0] * size[1] * size[2];
  unsigned char *made = arena_alloc(cx->arena, (size_t)out->elems);
  fit_picture(cx->arena, p, size[0], size[1], size[2], made);
  out->data = made;
  if (p->height == size[1] && p->width == size[2]) return true;
  Diag *g =
      diag_report(cx->diags, W_PICTURE, (Loc){0}, "`%s` is %lld x %lld pixels; its middle was scaled to %lld x %lld",
                  from, (long long)p->width, (long long)p->height, (long long)size[2], (long long)size[1]);
  diag_help(g, "cut and scale it as the network's training did, if that was done in another way");
  return true;
}

#endif
