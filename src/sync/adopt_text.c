/* Texts of other programs. */
#include "sync/adopt_text.h"

#include <string.h>

/* ---- names of files ---- */

static const struct slice uid_mark = SLICE_CONST(",U="), hash_mark = SLICE_CONST(",FMD5=");

static struct slice behind(struct slice base, struct slice mark)
{
    size_t at = slice_find(base, mark);
    if (at == SIZE_MAX)
        return SLICE_EMPTY;
    struct slice value = slice_from_index(base, at + mark.len);
    return slice_sub(value, 0, slice_index(value, ','));
}

uint32_t adopt_uid(struct slice base)
{
    uint64_t uid;
    size_t at = slice_find(base, uid_mark);
    if (at == SIZE_MAX || slice_find(slice_from_index(base, at + 1), uid_mark) != SIZE_MAX ||
        slice_to_u64(behind(base, uid_mark), UINT32_MAX, &uid) != ERR_OK)
        return 0;
    return (uint32_t)uid;
}

struct slice adopt_folder_hash(struct slice base)
{
    return behind(base, hash_mark);
}

enum err adopt_flags(struct slice letters, uint32_t *out_flags)
{
    static const char known[] = "DFPRST"; /* the order of the bits (near.h) */
    uint32_t flags = 0;
    for (size_t i = 0; i < letters.len; i++) {
        const char *letter = letters.ptr[i] ? strchr(known, letters.ptr[i]) : NULL;
        if (!letter)
            return ERR_SYNTAX;
        flags |= 1u << (letter - known);
    }
    *out_flags = flags;
    return ERR_OK;
}

/* ---- what belongs together ---- */

enum err adopt_add(struct adopt_state *state, struct arena *arena, const struct adopt_entry *entry)
{
    if (state->count == state->cap) {
        struct adopt_entry *grown =
            arena_grow(arena, state->entries, &state->cap, state->count + 1, sizeof *grown);
        if (!grown)
            return ERR_LIMIT;
        state->entries = grown;
    }
    state->entries[state->count++] = *entry;
    return ERR_OK;
}

static bool is_word(struct slice word, const char *one, const char *older)
{
    return slice_eq(word, slice_of(one)) || slice_eq(word, slice_of(older));
}

/* "FarUidValidity 17"; before 1.4 the sides were called otherwise. What else stands there does not matter. */
static enum err mbsync_head(struct slice line, struct adopt_state *state)
{
    struct slice word;
    uint64_t number;
    if (!slice_cut(&line, ' ', &word))
        return ERR_SYNTAX;
    TRY(slice_to_u64(line, UINT32_MAX, &number));
    if (is_word(word, "FarUidValidity", "MasterUidValidity"))
        state->far_uidvalidity = (uint32_t)number;
    else if (is_word(word, "NearUidValidity", "SlaveUidValidity"))
        state->near_uidvalidity = (uint32_t)number;
    return ERR_OK;
}

/* "3 3 S"; before the flags "<" or ">" (a placeholder there, here), then "^" (left out) or "~" (expired; "X" before 1.4). */
static enum err mbsync_entry(struct slice line, struct adopt_entry *out)
{
    struct slice word;
    uint64_t far_uid, near_uid;
    struct adopt_entry entry = { .kind = ADOPT_PAIR };
    if (!slice_cut(&line, ' ', &word) || slice_to_u64(word, UINT32_MAX, &far_uid) != ERR_OK ||
        !slice_cut(&line, ' ', &word) || slice_to_u64(word, UINT32_MAX, &near_uid) != ERR_OK)
        return ERR_SYNTAX;
    entry.far_uid = (uint32_t)far_uid;
    entry.near_uid = (uint32_t)near_uid;
    if (slice_starts(line, SLICE(">")))
        entry.kind = ADOPT_PLACEHOLDER;
    else if (line.len && adopt_flags(line, &entry.flags) != ERR_OK)
        entry.kind = ADOPT_OTHER;
    if (!entry.far_uid || !entry.near_uid)
        entry.kind = ADOPT_OTHER;
    *out = entry;
    return ERR_OK;
}

enum err adopt_mbsync(struct slice text, struct arena *arena, struct adopt_state *out_state)
{
    struct slice line;
    bool head = true;
    if (text.len == 0 || text.ptr[text.len - 1] != '\n')
        return ERR_SYNTAX; /* cut off */
    while (slice_cut(&text, '\n', &line)) {
        struct adopt_entry entry;
        if (head && line.len == 0) {
            head = false;
        } else if (head) {
            TRY(mbsync_head(line, out_state));
        } else {
            TRY(mbsync_entry(line, &entry));
            TRY(adopt_add(out_state, arena, &entry));
        }
    }
    return !head && out_state->far_uidvalidity && out_state->near_uidvalidity ? ERR_OK : ERR_SYNTAX;
}

uint32_t adopt_number(struct slice text)
{
    uint64_t number;
    struct slice line = slice_trim(slice_sub(text, 0, slice_index(text, '\n')));
    return slice_to_u64(line, UINT32_MAX, &number) == ERR_OK ? (uint32_t)number : 0;
}

/* ---- offlineimap's configuration: sections of "key = value" ---- */

struct ini {
    struct slice rest, section, key, value;
};

/* The next value; lines that continue one, comments and what is none are passed over. */
static bool ini_next(struct ini *ini)
{
    struct slice line;
    while (slice_cut(&ini->rest, '\n', &line)) {
        bool indented = line.len && (line.ptr[0] == ' ' || line.ptr[0] == '\t');
        line = slice_trim(line);
        if (line.len == 0 || indented || line.ptr[0] == '#' || line.ptr[0] == ';')
            continue;
        if (line.ptr[0] == '[') {
            ini->section = slice_sub(line, 1, slice_index(line, ']') - 1);
            continue;
        }
        size_t equals = slice_index(line, '='), colon = slice_index(line, ':');
        size_t at = equals < colon ? equals : colon;
        if (at == line.len)
            continue;
        ini->key = slice_trim(slice_sub(line, 0, at));
        ini->value = slice_trim(slice_from_index(line, at + 1));
        return true;
    }
    return false;
}

static struct slice ini_get(struct slice text, struct slice section, const char *key)
{
    struct ini ini = { .rest = text };
    while (ini_next(&ini))
        if (slice_eq(ini.section, section) && slice_eq_nocase(ini.key, slice_of(key)))
            return ini.value;
    return SLICE_EMPTY;
}

/* "Repository Local": what stands behind the word. */
static struct slice name_in(struct slice section, struct slice word)
{
    return slice_starts(section, word) ? slice_trim(slice_from_index(section, word.len))
                                       : SLICE_EMPTY;
}

static struct slice expand(struct slice path, struct slice home, struct arena *arena)
{
    struct buf out;
    buf_init(&out, 0);
    if (slice_starts(path, SLICE("~/")) || slice_eq(path, SLICE("~"))) {
        buf_add(&out, home);
        path = slice_from_index(path, 1);
    }
    buf_add(&out, path);
    struct slice whole = buf_slice(&out);
    while (whole.len > 1 && whole.ptr[whole.len - 1] == '/')
        whole.len--;
    struct slice kept = slice_dup(arena, whole);
    buf_done(&out);
    return kept;
}

/* The repository of this Maildir, and the account that has it; the second of either makes it unclear. */
static enum err find_account(struct slice text, struct slice home, struct slice maildir,
    struct arena *arena, struct adopt_offlineimap *out)
{
    struct slice local = SLICE_EMPTY, name;
    maildir = expand(maildir, home, arena);
    for (struct ini ini = { .rest = text }; ini_next(&ini);) {
        name = name_in(ini.section, SLICE("Repository "));
        if (!name.len || !slice_eq_nocase(ini.key, SLICE("localfolders")) ||
            !slice_eq(expand(ini.value, home, arena), maildir))
            continue;
        if (local.len)
            return ERR_NOT_FOUND;
        local = name;
    }
    for (struct ini ini = { .rest = text }; local.len && ini_next(&ini);) {
        name = name_in(ini.section, SLICE("Account "));
        if (!name.len || !slice_eq_nocase(ini.key, SLICE("localrepository")) ||
            !slice_eq(ini.value, local))
            continue;
        if (out->account.len)
            return ERR_NOT_FOUND;
        out->account = name;
        out->remote = ini_get(text, ini.section, "remoterepository");
    }
    return out->account.len && out->remote.len ? ERR_OK : ERR_NOT_FOUND;
}

enum err adopt_offlineimap_config(struct slice text, struct slice home, struct slice maildir,
    struct arena *arena, struct adopt_offlineimap *out)
{
    struct adopt_offlineimap found = { .account = SLICE_EMPTY };
    TRY(find_account(text, home, maildir, arena, &found));
    struct slice metadata = ini_get(text, SLICE("general"), "metadata");
    found.metadata = expand(metadata.len ? metadata : SLICE("~/.offlineimap"), home, arena);
    /* names become names of folders below that one */
    if (slice_index(found.account, '/') < found.account.len ||
        slice_index(found.remote, '/') < found.remote.len)
        return ERR_NOT_FOUND;
    found.account = slice_dup(arena, found.account);
    found.remote = slice_dup(arena, found.remote);
    *out = found;
    return ERR_OK;
}
