
async def choose_important(view, request, window, room):
    from tertulia.services.context.default import choose_recent
    return await choose_recent(view, request, window, room)
