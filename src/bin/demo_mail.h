/* The sample mail of `barid demo`, embedded in the program: data/demo/all.txt, packed by tools/demo-pack from the .eml files beside it. */
#ifndef BIN_DEMO_MAIL_H
#define BIN_DEMO_MAIL_H

#include "base/slice.h"

/* All slices point into the program and live as long as it. */
struct demo_mail {
    struct slice account; /* "salma" or "omar" */
    struct slice folder;  /* UTF-8, '/' between levels, "INBOX" in capitals */
    struct slice
        flags; /* as IMAP writes them, one blank between: "\Seen \Flagged $Forwarded"; may be empty */
    int64_t age_s;        /* how long ago it arrived, at the time of the demo */
    struct slice message; /* bytes with CRLF line ends */
};

/* Goes through all messages, oldest first in each folder: start with *cursor = 0. False at the end. */
bool demo_mail_next(size_t *cursor, struct demo_mail *out_mail);

#endif
