/* expat's calls build the tree; the first thing that is too much stops it. */
#include "discover/xml.h"

#include <expat.h>
#include <string.h>

struct xml_attribute {
    struct slice name, value;
    struct xml_attribute *next;
};

struct reading {
    struct arena *arena;
    XML_Parser parser;
    struct xml_node *root, *open;
    unsigned depth, nodes;
    enum discover_why why; /* DISCOVER_FOUND so far */
};

static void stop(struct reading *reading, enum discover_why why)
{
    if (reading->why == DISCOVER_FOUND)
        reading->why = why;
    (void)XML_StopParser(reading->parser, XML_FALSE);
}

static struct slice local_name(const char *name)
{
    const char *colon = strchr(name, ':');
    return slice_of(colon ? colon + 1 : name);
}

static bool add_attributes(
    struct reading *reading, struct xml_node *node, const XML_Char **attributes)
{
    for (; attributes[0]; attributes += 2) {
        struct xml_attribute *one = arena_zalloc(reading->arena, 1, sizeof *one);
        if (!one)
            return false;
        one->name = slice_dup(reading->arena, local_name(attributes[0]));
        one->value = slice_dup(reading->arena, slice_trim(slice_of(attributes[1])));
        if (!one->name.ptr || !one->value.ptr)
            return false;
        one->next = node->attributes;
        node->attributes = one;
    }
    return true;
}

static void XMLCALL on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
    struct reading *reading = arg;
    if (reading->why != DISCOVER_FOUND)
        return;
    if (++reading->depth > XML_DEPTH_MAX || ++reading->nodes > XML_NODES_MAX) {
        stop(reading, DISCOVER_GARBAGE);
        return;
    }
    struct xml_node *node = arena_zalloc(reading->arena, 1, sizeof *node);
    if (!node || !add_attributes(reading, node, attributes)) {
        stop(reading, DISCOVER_TOO_BIG);
        return;
    }
    node->name = slice_dup(reading->arena, local_name(name));
    node->text = SLICE_EMPTY;
    node->parent = reading->open;
    if (!node->name.ptr) {
        stop(reading, DISCOVER_TOO_BIG);
        return;
    }
    if (!reading->root)
        reading->root = node;
    else if (!node->parent->first)
        node->parent->first = node->parent->last = node;
    else
        node->parent->last = node->parent->last->next = node;
    reading->open = node;
}

static void XMLCALL on_end(void *arg, const XML_Char *name)
{
    struct reading *reading = arg;
    (void)name;
    if (reading->why != DISCOVER_FOUND)
        return;
    reading->open->text = slice_trim(reading->open->text);
    reading->open = reading->open->parent;
    reading->depth--;
}

/* Text comes in pieces; the few there are make copying cheap. */
static void XMLCALL on_text(void *arg, const XML_Char *text, int len)
{
    struct reading *reading = arg;
    if (reading->why != DISCOVER_FOUND || !reading->open)
        return;
    struct slice *have = &reading->open->text;
    if (have->len + (size_t)len > XML_TEXT_BYTES_MAX) {
        stop(reading, DISCOVER_GARBAGE);
        return;
    }
    if (slice_trim(slice_from(text, (size_t)len)).len == 0 && have->len == 0)
        return; /* indentation between elements */
    char *joined = arena_alloc(reading->arena, have->len + (size_t)len);
    if (!joined) {
        stop(reading, DISCOVER_TOO_BIG);
        return;
    }
    memcpy(joined, have->ptr, have->len);
    memcpy(joined + have->len, text, (size_t)len);
    *have = slice_from(joined, have->len + (size_t)len);
}

/* No document of these kinds has a type, and only a type can bring entities. */
static void XMLCALL on_doctype(void *arg, const XML_Char *name, const XML_Char *system_id,
    const XML_Char *public_id, int has_internal)
{
    (void)name;
    (void)system_id;
    (void)public_id;
    (void)has_internal;
    stop(arg, DISCOVER_ENTITIES);
}

static void XMLCALL on_entity(void *arg, const XML_Char *name, int is_parameter,
    const XML_Char *value, int value_len, const XML_Char *base, const XML_Char *system_id,
    const XML_Char *public_id, const XML_Char *notation)
{
    (void)name;
    (void)is_parameter;
    (void)value;
    (void)value_len;
    (void)base;
    (void)system_id;
    (void)public_id;
    (void)notation;
    stop(arg, DISCOVER_ENTITIES);
}

enum discover_why xml_read(struct slice bytes, struct arena *arena, struct xml_node **out_root)
{
    struct reading reading = { .arena = arena, .why = DISCOVER_FOUND };
    if (bytes.len > (1u << 20))
        return DISCOVER_TOO_BIG;
    reading.parser = XML_ParserCreate(NULL);
    if (!reading.parser)
        return DISCOVER_TOO_BIG;
    XML_SetUserData(reading.parser, &reading);
    XML_SetElementHandler(reading.parser, on_start, on_end);
    XML_SetCharacterDataHandler(reading.parser, on_text);
    XML_SetStartDoctypeDeclHandler(reading.parser, on_doctype);
    XML_SetEntityDeclHandler(reading.parser, on_entity);
    enum XML_Status status = XML_Parse(reading.parser, bytes.ptr, (int)bytes.len, XML_TRUE);
    XML_ParserFree(reading.parser);
    if (reading.why != DISCOVER_FOUND)
        return reading.why;
    if (status != XML_STATUS_OK || !reading.root)
        return DISCOVER_GARBAGE;
    *out_root = reading.root;
    return DISCOVER_FOUND;
}

/* ---- walking ---- */

static const struct xml_node *named(const struct xml_node *node, struct slice name)
{
    while (node && !slice_eq(node->name, name))
        node = node->next;
    return node;
}

const struct xml_node *xml_child(const struct xml_node *parent, const char *name)
{
    return parent ? named(parent->first, slice_of(name)) : NULL;
}

const struct xml_node *xml_next(const struct xml_node *node)
{
    return named(node->next, node->name);
}

struct slice xml_text(const struct xml_node *parent, const char *name)
{
    const struct xml_node *child = xml_child(parent, name);
    return child ? child->text : SLICE_EMPTY;
}

struct slice xml_attribute(const struct xml_node *node, const char *name)
{
    for (const struct xml_attribute *one = node->attributes; one; one = one->next)
        if (slice_eq(one->name, slice_of(name)))
            return one->value;
    return SLICE_EMPTY;
}
