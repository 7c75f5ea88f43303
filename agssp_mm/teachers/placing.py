"""Where a teacher runs."""
import torch


def choose_device(device: str | None) -> torch.device:
    """The device that is asked for, else CUDA where there is one.

    Args:
        device: Such as "cpu", "cuda" or "cuda:1"; None chooses.

    Raises:
        ValueError: If there is no such device on this machine.
    """
    if device is None:
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f'device: {device!r} cannot be used here ({str(error).splitlines()[0]}); give "cpu", or '
                         '"cuda" where PyTorch sees a GPU') from error
    return chosen
