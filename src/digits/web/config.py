"""What conf/draw.yaml must fit."""

from dataclasses import dataclass

from digits.errors import require


@dataclass
class DrawConfig:
    """The draw page: conf/draw.yaml."""

    run: str | None
    """The network that answers first: a run's folder, an .onnx file, or shipped; null: as for predict."""
    host: str
    """The address to listen on; 127.0.0.1 is for this machine alone, 0.0.0.0 for all that can reach it."""
    port: int
    """0: a free one."""
    open: bool
    """Whether to open the page in the browser."""
    mine: str | None
    """The folder to save drawings in; null: where train looks for them."""
    outputs_dir: str

    def __post_init__(self) -> None:
        """Check the ranges."""
        require(self.host != "", "host", "", "an address, such as 127.0.0.1")
        require(0 <= self.port <= 65535, "port", self.port, "1 to 65535, or 0 for a free one")
        require(self.mine != "", "mine", "", "a folder, or null for data/mine")
