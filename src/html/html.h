// SPDX-License-Identifier: Apache-2.0
// html: one self-contained page that shows a compilation: its phases side by side, what each pass changed, where each
// line comes from, what is where on chip, and the transfers. page.html, page.css and page.js are the page; html.c gives
// it the data.
#ifndef TETC_HTML_H
#define TETC_HTML_H

#include "backend_vta/vta.h"
#include "tir/tir.h"

typedef struct HtmlPage HtmlPage;

// A page about a source file. It shows each file that places point into, this one first.
HtmlPage *html_new(Ctx *cx, const Source *src);
// Starts a kernel: the phases that follow are its own.
void html_kernel(HtmlPage *p, const char *name);
void html_text(HtmlPage *p, const char *phase, const char *what, const char *text);
// A phase of TIR. The first one in which buffers have a place on chip is the one that the maps are of.
void html_func(HtmlPage *p, const char *phase, const char *what, const Func *f);
void html_write(const HtmlPage *p, Text *out);

#endif
