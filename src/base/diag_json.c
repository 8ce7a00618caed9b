// SPDX-License-Identifier: Apache-2.0
// Messages for programs: JSON lines in rustc's manner, and SARIF 2.1.0.
//
// A JSON line: {"code", "severity", "title", "message", "spans": [span], "children": [{"level", "kind", "message"}],
// "fixes": [{"message", "applicability", "span", "replacement"}], "rendered"}. A span is {"file", "byte_start",
// "byte_end", "line_start", "line_end", "column_start", "column_end", "primary", "label"}: lines and columns count from
// 1, columns in bytes, ends are exclusive.
#include "base/internal.h"

#include <string.h>

// Length of the well-formed UTF-8 sequence at p; 0 if there is none.
static size_t utf8_len(const unsigned char *p) {
  if (p[0] < 0x80) return 1;
  if (p[0] < 0xc2 || p[0] > 0xf4) return 0;
  size_t n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
  for (size_t i = 1; i < n; i++)
    if ((p[i] & 0xc0) != 0x80) return 0;
  if (p[0] == 0xe0 && p[1] < 0xa0) return 0; // over-long
  if (p[0] == 0xed && p[1] > 0x9f) return 0; // surrogates
  if (p[0] == 0xf0 && p[1] < 0x90) return 0;
  if (p[0] == 0xf4 && p[1] > 0x8f) return 0;
  return n;
}

// Appends a JSON string; bytes that are not UTF-8 become U+FFFD.
void text_add_json(Text *out, const char *s) {
  text_add(out, "\"");
  for (const unsigned char *p = (const unsigned char *)s; *p;) {
    size_t n = utf8_len(p);
    if (*p == '"' || *p == '\\') text_add(out, "\\%c", *p);
    else if (*p == '\n') text_add(out, "\\n");
    else if (*p == '\t') text_add(out, "\\t");
    else if (*p < 32 || *p == 127) text_add(out, "\\u%04x", *p);
    else if (n == 0) text_add(out, "\\ufffd");
    else text_add_bytes(out, (const char *)p, n);
    p += n ? n : 1;
  }
  text_add(out, "\"");
}

static void span_fields(Text *out, Loc at) {
  size_t begin, end;
  loc_bytes(at, &begin, &end);
  text_add(out, "\"file\":");
  text_add_json(out, at.src->path);
  text_add(out,
           ",\"byte_start\":%zu,\"byte_end\":%zu,\"line_start\":%u,\"line_end\":%u,\"column_start\":%u,\"column_"
           "end\":%u",
           begin, end, at.line, at.end_line, at.col, at.end_col);
}

static void json_span(Text *out, Loc at, bool primary, const char *label) {
  text_add(out, "{");
  span_fields(out, at);
  text_add(out, ",\"primary\":%s,\"label\":", primary ? "true" : "false");
  if (label && *label) text_add_json(out, label);
  else text_add(out, "null");
  text_add(out, "}");
}

static void json_spans(Text *out, const Diag *g) {
  text_add(out, ",\"spans\":[");
  bool first = !loc_known(g->at);
  if (!first) json_span(out, g->at, true, g->label);
  for (size_t i = 0; i < g->also.len; i++, first = false) {
    if (!first) text_add(out, ",");
    json_span(out, g->also.data[i].at, false, g->also.data[i].label);
  }
  text_add(out, "]");
}

static void json_fixes(Text *out, const Diag *g) {
  text_add(out, ",\"fixes\":[");
  for (size_t i = 0; i < g->fixes.len; i++) {
    const DiagFix *f = &g->fixes.data[i];
    text_add(out, "%s{\"message\":", i ? "," : "");
    text_add_json(out, f->text);
    text_add(out, ",\"applicability\":\"%s\",\"span\":", f->helps ? "machine-applicable" : "maybe-incorrect");
    if (loc_known(f->at)) {
      text_add(out, "{");
      span_fields(out, f->at);
      text_add(out, "}");
    } else text_add(out, "null");
    text_add(out, ",\"replacement\":");
    text_add_json(out, f->replacement);
    text_add(out, "}");
  }
  text_add(out, "]");
}

// One message as one line.
void diag_json(const Diag *g, Text *out) {
  static const char *const kinds[] = {"note", "nest", "rule", "help"};
  text_add(out, "{\"code\":\"%s\",\"severity\":\"%s\",\"title\":", diag_code_text(g->code), severity_text(g->severity));
  text_add_json(out, diag_code_title(g->code));
  text_add(out, ",\"message\":");
  text_add_json(out, g->headline);
  json_spans(out, g);
  text_add(out, ",\"children\":[");
  for (size_t i = 0; i < g->subs.len; i++) {
    text_add(out, "%s{\"level\":\"%s\",\"kind\":\"%s\",\"message\":", i ? "," : "",
             g->subs.data[i].kind == SUB_HELP ? "help" : "note", kinds[g->subs.data[i].kind]);
    text_add_json(out, g->subs.data[i].text);
    text_add(out, "}");
  }
  text_add(out, "]");
  json_fixes(out, g);
  Text rendered = {.arena = out->arena};
  diag_render(g, &(DiagLook){0}, &rendered);
  text_add(out, ",\"rendered\":");
  text_add_json(out, rendered.data);
  text_add(out, "}\n");
}

void diag_json_hidden(const Diags *d, Text *out) {
  for (int s = SEV_ERROR; s <= SEV_WARNING; s++) {
    if (!d->hidden[s]) continue;
    const char *what = severity_text((Severity)s);
    text_add(out,
             "{\"code\":null,\"severity\":\"%s\",\"title\":\"\",\"message\":\"%d more %ss are not shown\",\"spans\":[],"
             "\"children\":[],\"fixes\":[],\"rendered\":\"%s: %d more %ss are not shown\\n\\n\"}\n",
             what, d->hidden[s], what, what, d->hidden[s], what);
  }
}

// ---- SARIF ------------------------------------------------------------------------------------------------------

// A path as a URI reference: everything but unreserved characters and `/` is escaped.
static void sarif_uri(Text *out, const char *path) {
  text_add(out, "\"");
  if (*path == '/') text_add(out, "file://");
  for (const unsigned char *p = (const unsigned char *)path; *p; p++) {
    bool plain =
        (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || strchr("-._~/", *p);
    text_add(out, plain ? "%c" : "%%%02X", *p);
  }
  text_add(out, "\"");
}

// A byte column as a column in code points, both from 1.
static uint32_t code_point_column(const Source *src, uint32_t line, uint32_t col) {
  size_t len;
  const char *text = loc_line(src, line, &len);
  uint32_t column = 1;
  for (uint32_t i = 1; i < col; i++) column += i > len || ((unsigned char)text[i - 1] & 0xc0) != 0x80;
  return column;
}

// A region: lines and columns count from 1, ends are exclusive.
static void sarif_region(Text *out, Loc at) {
  size_t begin, end;
  loc_bytes(at, &begin, &end);
  uint32_t line = at.line ? at.line : 1, end_line = at.end_line < line ? line : at.end_line;
  text_add(out, "{\"startLine\":%u,\"startColumn\":%u,\"endLine\":%u,\"endColumn\":%u", line,
           code_point_column(at.src, line, at.col), end_line, code_point_column(at.src, end_line, at.end_col));
  text_add(out, ",\"byteOffset\":%zu,\"byteLength\":%zu}", begin, end - begin);
}

static void sarif_location(Text *out, Loc at, const char *label, size_t id) {
  text_add(out, "{");
  if (id) text_add(out, "\"id\":%zu,", id);
  text_add(out, "\"physicalLocation\":{\"artifactLocation\":{\"uri\":");
  sarif_uri(out, at.src->path);
  text_add(out, "},\"region\":");
  sarif_region(out, at);
  text_add(out, "}");
  if (label && *label) {
    text_add(out, ",\"message\":{\"text\":");
    text_add_json(out, label);
    text_add(out, "}");
  }
  text_add(out, "}");
}

// The headline, and the notes and helps under it: SARIF has one text a result.
static void sarif_message(Text *out, const Diag *g) {
  Text t = {.arena = out->arena};
  text_add(&t, "%s", g->headline);
  for (size_t i = 0; i < g->subs.len; i++)
    text_add(&t, "\n%s: %s", g->subs.data[i].kind == SUB_HELP ? "help" : "note", g->subs.data[i].text);
  text_add(out, "\"message\":{\"text\":");
  text_add_json(out, t.data);
  text_add(out, "}");
}

static void sarif_fixes(Text *out, const Diag *g) {
  bool first = true;
  for (size_t i = 0; i < g->fixes.len; i++) {
    const DiagFix *f = &g->fixes.data[i];
    if (!loc_known(f->at)) continue;
    text_add(out, "%s{\"description\":{\"text\":", first ? ",\"fixes\":[" : ",");
    first = false;
    text_add_json(out, f->text);
    text_add(out, "},\"artifactChanges\":[{\"artifactLocation\":{\"uri\":");
    sarif_uri(out, f->at.src->path);
    text_add(out, "},\"replacements\":[{\"deletedRegion\":");
    sarif_region(out, f->at);
    text_add(out, ",\"insertedContent\":{\"text\":");
    text_add_json(out, f->replacement);
    text_add(out, "}}]}]}");
  }
  if (!first) text_add(out, "]");
}

static void sarif_result(Text *out, const Diag *g, size_t rule) {
  const char *level = g->severity == SEV_ERROR ? "error" : g->severity == SEV_WARNING ? "warning" : "note";
  text_add(out, "{\"ruleId\":\"%s\",\"ruleIndex\":%zu,\"level\":\"%s\",", diag_code_text(g->code), rule, level);
  sarif_message(out, g);
  text_add(out, ",\"locations\":[");
  if (loc_known(g->at)) sarif_location(out, g->at, g->label, 0);
  text_add(out, "]");
  for (size_t i = 0; i < g->also.len; i++) {
    text_add(out, i ? "," : ",\"relatedLocations\":[");
    sarif_location(out, g->also.data[i].at, g->also.data[i].label, i + 1);
  }
  if (g->also.len) text_add(out, "]");
  sarif_fixes(out, g);
  text_add(out, "}");
}

// All messages as one SARIF log; its rules are the codes that occur, in order of their numbers.
void diags_sarif(const Diags *d, Text *out) {
  size_t rule_of[DIAG_CODE_COUNT], nrules = 0;
  bool used[DIAG_CODE_COUNT] = {0}, first = true;
  for (size_t i = 0; i < d->list.len; i++) used[d->list.data[i]->code] = true;
  text_add(out, "{\"$schema\":\"https://json.schemastore.org/sarif-2.1.0.json\",\"version\":\"2.1.0\",\"runs\":[{"
                "\"tool\":{\"driver\":{\"name\":\"tetc\",\"version\":\"" TETC_VERSION "\",\"rules\":[");
  for (int c = 0; c < DIAG_CODE_COUNT; c++) {
    if (!used[c]) continue;
    text_add(out, "%s{\"id\":\"%s\",\"shortDescription\":{\"text\":", nrules ? "," : "", diag_code_text((DiagCode)c));
    text_add_json(out, diag_code_title((DiagCode)c));
    text_add(out, "}}");
    rule_of[c] = nrules++;
  }
  text_add(out, "]}},\"columnKind\":\"unicodeCodePoints\",\"results\":[");
  for (size_t i = 0; i < d->list.len; i++) {
    const Diag *g = d->list.data[i];
    if (g->severity == SEV_REMARK && !d->remarks) continue;
    if (!first) text_add(out, ",");
    first = false;
    sarif_result(out, g, rule_of[g->code]);
  }
  text_add(out, "]");
  if (d->hidden[SEV_ERROR] || d->hidden[SEV_WARNING])
    text_add(out, ",\"properties\":{\"errorsNotShown\":%d,\"warningsNotShown\":%d}", d->hidden[SEV_ERROR],
             d->hidden[SEV_WARNING]);
  text_add(out, "}]}\n");
}
