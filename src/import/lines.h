/* A file line by line, each in one piece or, where it is very long, in several. Reads ahead in one buffer; blocking. */
#ifndef IMPORT_LINES_H
#define IMPORT_LINES_H

#include "base/buf.h"

struct import_lines {
    int fd; /* borrowed */
    struct buf room;
    size_t given;  /* bytes at the front that the last call gave */
    bool mid_line; /* the last piece did not end its line */
    bool ended;    /* of the file */
};

struct import_piece {
    struct slice bytes; /* with its LF; borrowed until the next call */
    bool begins, ends;  /* its line */
};

void import_lines_init(struct import_lines *lines, int fd);
void import_lines_done(struct import_lines *lines);
/* ERR_NOT_FOUND at the end; ERR_IO and what else reading gives. */
enum err MUST_USE import_lines_next(struct import_lines *lines, struct import_piece *out_piece);

#endif
