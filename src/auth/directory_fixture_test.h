/* What tests of directory.db share: a folder of its own for each test with a new one in it, and hashes to import, because making one is slow. */
#ifndef AUTH_DIRECTORY_FIXTURE_TEST_H
#define AUTH_DIRECTORY_FIXTURE_TEST_H

#include "auth/directory_int.h"
#include "base/test.h"

#include <stdlib.h>
#include <string.h>

#define HASH                                                                                       \
    "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/"                                      \
    "jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/"

/* Of "Hello world!". */
#define WORLD_HASH                                                                                 \
    "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/"                                           \
    "O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"

static char folder[64], file[96];

static inline struct directory *directory_begin(void)
{
    struct directory *d;
    struct err_note note = { "" };
    (void)snprintf(folder, sizeof folder, "/tmp/barid-directory-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(file, sizeof file, "%s/directory.db", folder);
    if (directory_open(file, true, &d, &note) != ERR_OK)
        fail_msg("%s", note.text);
    return d;
}

static inline int directory_end(struct directory *d)
{
    directory_close(d);
    remove_database(file);
    return rmdir(folder);
}

#endif
