/* A text of `barid explain` while it is written. Private to the files of explain. */
#ifndef BIN_EXPLAIN_INT_H
#define BIN_EXPLAIN_INT_H

#include "bin/explain.h"

/* N(name): a number that a noun may stand behind; B(name): bytes; T(name): text; W(name): words of ours, in the language of the text. */
#define EXPLAIN_VALUES                                                                             \
    N(messages)                                                                                    \
    N(unread)                                                                                      \
    B(size)                                                                                        \
    B(quota)                                                                                       \
    N(percent)                                                                                     \
    N(percent_size)                                                                                \
    N(percent_messages)                                                                            \
    N(quota_messages)                                                                              \
    N(folders_empty) N(row) N(row_unread) B(row_size) N(devices) N(readers) N(imap_devices)        \
        N(days) N(shown) B(shown_size) N(all) B(all_size) N(base) B(base_size) N(goes)             \
            B(goes_size) N(goes_unread) N(old) B(old_size) N(recent) B(recent_size) N(due)         \
                B(due_size) N(window_days) N(after_days) N(newest) N(taken) N(here) N(imap_port)   \
                    N(pop_port) N(send_port) T(address) T(host) T(folder) T(device) W(protocols)   \
                        W(protocol) T(when) T(since) T(folders) T(imap_security) T(imap_scheme)    \
                            T(pop_security) T(pop_scheme) T(send_security) T(send_scheme)          \
                                T(user_url) T(port) T(security) T(programs)

enum value_index {
#define N(name) VALUE_##name,
#define B(name) VALUE_##name,
#define T(name) VALUE_##name,
#define W(name) VALUE_##name,
    EXPLAIN_VALUES
#undef N
#undef B
#undef T
#undef W
        VALUE_COUNT
};

struct explaining {
    enum lang lang;
    const struct explain_input *in;
    struct buf *out, *said;
    struct guide_value values[VALUE_COUNT];
    bool pop_on;
    struct facts_amount base, old; /* what a program could take, and the old of it */
    size_t readers;                /* devices that came by IMAP or POP3 */
    size_t pop_readers;
    bool by_main;    /* the main password is one of the devices */
    bool main_reads; /* and by IMAP or POP3: programs that nothing tells apart */
};

void explain_number(struct explaining *x, enum value_index at, uint64_t number);
void explain_text(struct explaining *x, enum value_index at, const char *text);
/* A section as it stands, and noted as used. */
struct slice explain_section(struct explaining *x, const char *name);
/* A section with its values, a line of its own; a title with an empty line before it. */
void explain_say(struct explaining *x, const char *name);
void explain_title(struct explaining *x, const char *name);
/* The name of a device, or what stands for the main password. */
struct slice explain_device_name(struct explaining *x, const struct device *device);

/* What POP3 does, and would do with other policies. */
void explain_pop(struct explaining *x);
/* What to type into programs. */
void explain_settings(struct explaining *x);

#endif
