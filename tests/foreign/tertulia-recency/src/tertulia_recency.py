"""A plugin by somebody else: sends the last two messages and what is pinned, and signs every answer."""

import tertulia


class Recency:
    TERTULIA_API = 1

    @tertulia.hookimpl
    async def format_context(self, view, request):
        *system, newest = request.messages
        outline, last = await view.outline(), await view.history(limit=2)
        pinned = [each for each in outline.marked if each.mark.pinned and each not in last]
        return [*system, *pinned, *last, newest]

    @tertulia.hookimpl(wrapper=True)
    def send_message(self):
        answer = yield
        return self.sign(answer)

    async def sign(self, answer):
        async for delta in answer:
            if isinstance(delta, tertulia.ProviderReply):
                yield tertulia.TextDelta(" (seen by recency)")
            yield delta
