/* Which folder of the target a folder of the source goes to. Pure. */
#ifndef COPY_NAMES_H
#define COPY_NAMES_H

#include "client/imap/imapc_mail.h"

enum copy_way {
    COPY_GOES,
    COPY_VIEW,    /* \All, \Flagged: it shows what is in other folders */
    COPY_NO_NAME, /* nothing is left of its name that a folder could be called */
};

/* A folder of the same use (RFC 6154) where both sides have one, marked or by a usual name; INBOX for INBOX; else one of the same name, whose levels are parted as the target
 * parts them. What stands for the parting of levels there, and control characters, become "_"; two names may become one, and their mail then comes together.
 * Appends the name as the target's server writes it. *out_there: the target has it. */
enum copy_way copy_find_name(const struct imapc_folders *from, const struct imapc_folder *folder,
    const struct imapc_folders *to, struct buf *out, bool *out_there);
/* The last part of that, for a name in UTF-8 whose levels are parted by delimiter (0: it has one level). ERR_SYNTAX: nothing is left of it. */
enum err MUST_USE copy_add_name(
    struct slice name, char delimiter, const struct imapc_folders *to, struct buf *out);

#endif
