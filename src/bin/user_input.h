/* What people give to the user verbs: passwords, sizes, switches, lists of users. Private to the user verbs. */
#ifndef BIN_USER_INPUT_H
#define BIN_USER_INPUT_H

#include "auth/directory.h"
#include "base/buf.h"
#include "bin/catalogue.h"

#include <stdio.h>

/* "500M", "2G", "1024", "none": K, M, G, T are powers of 1024, small letters too. ERR_SYNTAX, ERR_LIMIT over INT64_MAX. */
enum err MUST_USE user_parse_size(struct slice text, uint64_t *out_bytes);

/* The switches of add, set and import. */
struct user_switches {
    unsigned services_on, services_off; /* enum user_service bits that were named */
    bool has_bytes, has_messages;
    uint64_t quota_bytes, quota_messages;
    const char *password_file; /* borrowed from argv */
    bool yes;
};
/* Takes the option at argv[*at] and its value; *at then stands on the next word. Prints what is wrong. ERR_SYNTAX. */
enum err MUST_USE user_parse_switch(int argc, char **argv, int *at, struct user_switches *switches);
/* Services and quotas as the switches want them, from those there were. */
void user_apply_switches(const struct user_switches *switches, unsigned *services,
    uint64_t *quota_bytes, uint64_t *quota_messages);

/* Where passwords come from: a file, standard input, or a person at a terminal, who is asked twice without echo. */
struct password_source {
    FILE *file; /* owned unless stdin; NULL: the terminal */
    const char *name;
};
/* file NULL: the terminal when standard input is one, else standard input. Prints what is wrong. */
enum err MUST_USE password_source_open(struct password_source *source, const char *file);
void password_source_close(struct password_source *source);
/* The next password, for address. out is initialised here and wiped by the caller with sasl_buf_wipe. Prints what is wrong. */
enum err MUST_USE password_source_next(
    struct password_source *source, const char *address, struct buf *out);

/* One line of a list of users. */
struct user_line {
    struct slice address, password, hash; /* password or hash is empty */
};
enum user_line_kind {
    USER_LINE_USER,
    USER_LINE_NOTHING, /* blank, or a comment */
    USER_LINE_BAD,
};
/* ADDRESS:PASSWORD, ADDRESS:{SCHEME}HASH, ADDRESS:$6$... as in a shadow file, with ":" or tabs between. Fields after a hash (passwd files) are ignored. */
enum user_line_kind user_parse_line(struct slice line, struct user_line *out_line);

#endif
