"""One transaction told from its delivered bytes to its payment, with the evidence for every sentence (DESIGN §10)."""

from clearing.explain.model import Explanation, Language
from clearing.explain.story import explain
from clearing.explain.terminal import render_text

__all__ = ["Explanation", "Language", "explain", "render_text"]
