"""A plugin by somebody else: sends the last two messages only, and signs every answer."""

import tertulia


class Recency:
    TERTULIA_API = 1

    @tertulia.hookimpl
    async def format_context(self, view, request):
        *system, newest = request.messages
        return [*system, *(await view.history(limit=2)), newest]

    @tertulia.hookimpl(wrapper=True)
    def send_message(self):
        answer = yield
        return self.sign(answer)

    async def sign(self, answer):
        async for delta in answer:
            if isinstance(delta, tertulia.ProviderReply):
                yield tertulia.TextDelta(" (seen by recency)")
            yield delta
