/* What the files of fsck share. Private to store/. With the account's lock held throughout. */
#ifndef STORE_FSCK_INT_H
#define STORE_FSCK_INT_H

#include "store/account.h"

struct check {
    struct account *account;
    bool repair;
    account_finding_fn *tell;
    void *tell_arg;
    size_t findings;
    uint64_t derived_changed; /* summaries, filters */
    uint64_t damaged_pages;
};

/* One finding, told. */
void fsck_found(struct check *c, bool repaired, const char *format, ...) PRINTF(3, 4);

/* The file: pages, structure, length, whose it is. Switches c->repair off where rows are not to be touched. */
enum err MUST_USE fsck_file(struct check *c);
/* What rows say of each other; counters. */
enum err MUST_USE fsck_rules(struct check *c);
enum err MUST_USE fsck_counters(struct check *c);
/* Each message: its bytes, its summary. */
enum err MUST_USE fsck_messages(struct check *c);
/* Each filter of a message's text. After fsck_messages. */
enum err MUST_USE fsck_filters(struct check *c);
/* Where rows may be lost, files that nothing names get rows. */
enum err MUST_USE fsck_adopt_files(struct check *c);
/* xxh3(blob), for rules that mend. */
enum err MUST_USE fsck_functions(struct check *c);

#endif
